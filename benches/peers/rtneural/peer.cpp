// A C interface to RTNeural's recurrent layers: one sample at a time, with sizes fixed at compile time. A
// definition of the compiler selects the backend (`RTNEURAL_USE_EIGEN`, `RTNEURAL_USE_XSIMD`, or neither for
// STL).

#include <RTNeural/RTNeural.h>

#include <algorithm>
#include <cstddef>
#include <memory>
#include <vector>

namespace
{
using Matrix = std::vector<std::vector<float>>;

// Transposes a matrix of `rows` rows and `columns` columns, because RTNeural takes columns as rows.
Matrix transposed(const float* data, std::size_t rows, std::size_t columns)
{
    Matrix out(columns, std::vector<float>(rows));
    for(std::size_t r = 0; r < rows; ++r)
        for(std::size_t c = 0; c < columns; ++c)
            out[c][r] = data[r * columns + c];
    return out;
}

// PyTorch and RTNeural have the first two gates of a GRU in opposite order.
void swap_first_two(std::vector<float>& units, std::size_t hidden)
{
    std::swap_ranges(units.begin(), units.begin() + hidden, units.begin() + hidden);
}

struct Weights
{
    const float *w_ih, *w_hh, *b_ih, *b_hh;
};

class Layer
{
public:
    virtual ~Layer() = default;
    virtual void run(const float* x, std::size_t samples, std::size_t calls) = 0;
    virtual const float* output() const = 0;
};

template <typename Recurrent>
class Model final : public Layer
{
    static constexpr int I = Recurrent::in_size, H = Recurrent::out_size;

public:
    explicit Model(const Weights& weights)
    {
        auto& layer = model.template get<0>();
        load(layer, weights);
        model.reset();
    }

    void run(const float* x, std::size_t samples, std::size_t calls) override
    {
        const float* sample = x;
        for(std::size_t i = 0; i < calls; ++i)
        {
            std::copy(sample, sample + I, input);
            sample = sample + I == x + samples * I ? x : sample + I;
            last = model.forward(input);
            asm volatile("" : : "r"(&model), "r"(input) : "memory");
        }
    }

    const float* output() const override { return model.getOutputs(); }

private:
    static void load(RTNeural::LSTMLayerT<float, I, H>& layer, const Weights& w)
    {
        std::vector<float> bias(4 * H);
        std::transform(w.b_ih, w.b_ih + 4 * H, w.b_hh, bias.begin(), [](float a, float b) { return a + b; });
        layer.setWVals(transposed(w.w_ih, 4 * H, I));
        layer.setUVals(transposed(w.w_hh, 4 * H, H));
        layer.setBVals(bias);
    }

    static void load(RTNeural::GRULayerT<float, I, H>& layer, const Weights& w)
    {
        Matrix input = transposed(w.w_ih, 3 * H, I), hidden = transposed(w.w_hh, 3 * H, H);
        Matrix bias { { w.b_ih, w.b_ih + 3 * H }, { w.b_hh, w.b_hh + 3 * H } };
        for(Matrix* matrix : { &input, &hidden, &bias })
            for(auto& row : *matrix)
                swap_first_two(row, H);
        layer.setWVals(input);
        layer.setUVals(hidden);
        layer.setBVals(bias);
    }

    RTNeural::ModelT<float, I, H, Recurrent> model;
    // Longer than the input, because a backend reads whole vectors.
    alignas(64) float input[I + 16] {};
    volatile float last = 0.0f;
};

template <int I, int H>
std::unique_ptr<Layer> make(bool lstm, const Weights& weights)
{
    if(lstm)
        return std::make_unique<Model<RTNeural::LSTMLayerT<float, I, H>>>(weights);
    return std::make_unique<Model<RTNeural::GRULayerT<float, I, H>>>(weights);
}
}

#define EXPORT __attribute__((visibility("default")))

extern "C"
{
    // Weights are in PyTorch's order. Returns null for sizes that are not compiled in.
    EXPORT Layer* rtneural_new(bool lstm, std::size_t input, std::size_t hidden, const float* w_ih, const float* w_hh,
        const float* b_ih, const float* b_hh)
    {
        const Weights weights { w_ih, w_hh, b_ih, b_hh };
#define SIZE(I, H)                      \
    if(input == I && hidden == H)       \
    return make<I, H>(lstm, weights).release()
        SIZE(1, 8);
        SIZE(1, 16);
        SIZE(1, 32);
        SIZE(1, 40);
        SIZE(1, 64);
        SIZE(1, 128);
        SIZE(32, 32);
#undef SIZE
        return nullptr;
    }

    // Runs `calls` steps, taking the samples `[samples][input]` in turn.
    EXPORT void rtneural_run(Layer* layer, const float* x, std::size_t samples, std::size_t calls)
    {
        layer->run(x, samples, calls);
    }

    // The hidden state after the last step.
    EXPORT const float* rtneural_output(const Layer* layer) { return layer->output(); }

    EXPORT void rtneural_free(Layer* layer) { delete layer; }
}
