// Recurrent networks in C++17: a thin layer over recurrent.h, with spans and objects that own their memory.
// Nothing here throws: allocations use `new (std::nothrow)`, and a failure becomes a status.
//
//     recurrent::Model model;
//     recurrent::Error error;
//     if (!model.open({image, size}, {recurrent_lstm(), recurrent_gru()}, error))
//         std::puts(error.text().data());
//     recurrent::Stream stream;                 // one voice: its state and its buffers
//     if (!stream.begin(model, error)) ...
//     stream.step({&in, 1}, {&out, 1});         // real-time safe: no allocation, no lock, no system call
#ifndef RECURRENT_HPP
#define RECURRENT_HPP

#include <array>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <memory>
#include <new>
#include <string_view>
#include <type_traits>
#include <utility>

#include "recurrent.h"

namespace recurrent {

// A range of elements that follow each other in memory. It does not own them.
template <class T>
class Span {
public:
    constexpr Span() noexcept = default;
    constexpr Span(T *data, std::size_t size) noexcept : data_(data), size_(size) {}
    template <std::size_t N>
    constexpr Span(T (&array)[N]) noexcept : data_(array), size_(N) {}
    // From vectors, arrays, and other spans.
    template <class C, class = decltype(std::declval<C &>().data()), class = decltype(std::declval<C &>().size()),
              class = std::enable_if_t<!std::is_same_v<std::decay_t<C>, Span>>>
    constexpr Span(C &&container) noexcept : data_(container.data()), size_(container.size()) {}

    constexpr T *data() const noexcept { return data_; }
    constexpr std::size_t size() const noexcept { return size_; }
    constexpr bool empty() const noexcept { return size_ == 0; }
    constexpr T *begin() const noexcept { return data_; }
    constexpr T *end() const noexcept { return data_ + size_; }
    constexpr T &operator[](std::size_t i) const noexcept { return data_[i]; }

private:
    T *data_ = nullptr;
    std::size_t size_ = 0;
};

// The error of the last call that this object was passed to.
class Error {
public:
    // The pointer for functions of recurrent.h.
    recurrent_error *out() noexcept { return &error_; }
    recurrent_status status() const noexcept { return static_cast<recurrent_status>(error_.status); }
    std::string_view name() const noexcept { return recurrent_status_name(error_.status); }

    // The whole text, which ends with a 0 and belongs to this object.
    std::string_view text() noexcept {
        const std::size_t size = recurrent_error_text(&error_, text_.data(), text_.size());
        return {text_.data(), size < text_.size() ? size : text_.size() - 1};
    }

    // Sets the error of an allocation that failed.
    void no_memory(const char *of, std::size_t len) noexcept {
        error_ = {};
        error_.status = RECURRENT_ERROR_OVERFLOW;
        error_.subject = of;
        error_.subject_len = len;
    }

private:
    recurrent_error error_{};
    std::array<char, 320> text_{};
};

// Memory for `size` elements; empty if it could not be allocated.
template <class T>
std::unique_ptr<T[]> allocate(std::size_t size) noexcept {
    return std::unique_ptr<T[]>(new (std::nothrow) T[size]());
}

// A model from an image or from a description of its layers, with its table of layers and its packed weights.
// The caller owns the image, which must outlive the model. Any number of threads may run streams of the same
// model at the same time.
class Model {
public:
    // Makes a model of these layers. It has no weights until `use`.
    bool build(Span<const recurrent_layer> layers, std::initializer_list<const recurrent_cell *> cells, Error &error) noexcept {
        return build(layers, Span<const recurrent_cell *const>(cells.begin(), cells.size()), error);
    }

    bool build(Span<const recurrent_layer> layers, Span<const recurrent_cell *const> cells, Error &error) noexcept {
        const std::size_t size = recurrent_model_build_size(layers.size());
        auto memory = allocate<std::uint64_t>(size / 8 + 1);
        if (!memory) return error.no_memory("memory", 6), false;
        recurrent_model *model = nullptr;
        if (recurrent_model_build(layers.data(), layers.size(), cells.data(), cells.size(), memory.get(), size, &model,
                                  error.out()) != RECURRENT_OK)
            return false;
        auto packed = allocate<float>(recurrent_model_packed_len(model));
        if (!packed) return error.no_memory("packed", 6), false;
        memory_ = std::move(memory), packed_ = std::move(packed), model_ = model;
        return true;
    }

    // Opens an image and packs its weights. The image must be aligned to RECURRENT_IMAGE_ALIGN bytes.
    bool open(Span<const std::uint8_t> image, std::initializer_list<const recurrent_cell *> cells, Error &error) noexcept {
        return open(image, Span<const recurrent_cell *const>(cells.begin(), cells.size()), error);
    }

    bool open(Span<const std::uint8_t> image, Span<const recurrent_cell *const> cells, Error &error) noexcept {
        std::size_t size = 0;
        if (recurrent_model_size(image.data(), image.size(), &size, error.out()) != RECURRENT_OK) return false;
        auto memory = allocate<std::uint64_t>(size / 8 + 1);
        if (!memory) return error.no_memory("memory", 6), false;
        recurrent_model *model = nullptr;
        if (recurrent_model_open(image.data(), image.size(), cells.data(), cells.size(), memory.get(), size, &model,
                                 error.out()) != RECURRENT_OK)
            return false;
        const std::size_t len = recurrent_model_packed_len(model);
        auto packed = allocate<float>(len);
        if (!packed) return error.no_memory("packed", 6), false;
        if (recurrent_model_pack(model, packed.get(), len, error.out()) != RECURRENT_OK) return false;
        memory_ = std::move(memory), packed_ = std::move(packed), model_ = model;
        return true;
    }

    // From now on the model runs with these weights: those of a training or of the program, or with an empty
    // span those of its image. They are packed, so they may change afterwards; call this again to run with the change. (Targets
    // without an operating system use them in place.) Nobody else may use the model during this call. Allocates
    // nothing, but takes time for each weight.
    bool use(Span<const float> weights, Error &error) noexcept {
        if (recurrent_model_set_weights(model_, weights.data(), weights.size(), error.out()) != RECURRENT_OK) return false;
        return recurrent_model_pack(model_, packed_.get(), recurrent_model_packed_len(model_), error.out()) == RECURRENT_OK;
    }

    // The pointer for functions of recurrent.h; null before `open`.
    const recurrent_model *get() const noexcept { return model_; }
    std::size_t input() const noexcept { return recurrent_model_input(model_); }
    std::size_t output() const noexcept { return recurrent_model_output(model_); }
    std::size_t classes() const noexcept { return recurrent_model_classes(model_); }
    bool is_pooled() const noexcept { return recurrent_model_is_pooled(model_) != 0; }

private:
    std::unique_ptr<std::uint64_t[]> memory_;
    std::unique_ptr<float[]> packed_;
    recurrent_model *model_ = nullptr;
};

// A sequence that continues from call to call: a voice of a plugin, or a batch of one row. It has its own
// state and scratch, and refers to its model, which must not move and must outlive the stream.
class Stream {
public:
    // Allocates buffers for chunks of at most `most_steps` steps, and starts a sequence.
    bool begin(const Model &model, Error &error, std::size_t most_steps = 1) noexcept {
        const std::size_t state_len = recurrent_model_state_len(model.get(), 1);
        const std::size_t scratch_len = recurrent_model_scratch_len(model.get(), most_steps, 1);
        auto state = allocate<float>(state_len), scratch = allocate<float>(scratch_len);
        if (!state || !scratch) return error.no_memory("scratch", 7), false;
        model_ = model.get();
        state_ = std::move(state), scratch_ = std::move(scratch);
        state_len_ = state_len, scratch_len_ = scratch_len;
        return reset(error);
    }

    // Starts another sequence. Real-time safe.
    bool reset(Error &error) noexcept {
        return recurrent_reset(model_, 1, state_.get(), state_len_, error.out()) == RECURRENT_OK;
    }

    // One step. Real-time safe.
    recurrent_status step(Span<const float> x, Span<float> y, Error *error = nullptr) noexcept {
        const recurrent_buffers of = buffers(x, {}, y);
        return recurrent_step(model_, &of, error ? error->out() : nullptr);
    }

    recurrent_status step(Span<const std::uint32_t> ids, Span<float> y, Error *error = nullptr) noexcept {
        const recurrent_buffers of = buffers({}, ids, y);
        return recurrent_step(model_, &of, error ? error->out() : nullptr);
    }

    // Runs a chunk of at most `most_steps` steps. Real-time safe.
    recurrent_status forward(std::size_t steps, Span<const float> x, Span<float> y, Error *error = nullptr) noexcept {
        recurrent_sequences sequences{};
        sequences.steps = steps, sequences.batch = 1;
        const recurrent_buffers of = buffers(x, {}, y);
        return recurrent_forward(model_, &sequences, &of, error ? error->out() : nullptr);
    }

    Span<const float> state() const noexcept { return {state_.get(), state_len_}; }

private:
    recurrent_buffers buffers(Span<const float> x, Span<const std::uint32_t> ids, Span<float> y) const noexcept {
        recurrent_buffers of{};
        of.x = x.data(), of.x_len = x.size();
        of.ids = ids.data(), of.ids_len = ids.size();
        of.y = y.data(), of.y_len = y.size();
        of.state = state_.get(), of.state_len = state_len_;
        of.scratch = scratch_.get(), of.scratch_len = scratch_len_;
        return of;
    }

    const recurrent_model *model_ = nullptr;
    std::unique_ptr<float[]> state_, scratch_;
    std::size_t state_len_ = 0, scratch_len_ = 0;
};

// Optimisers with their defaults, whose fields may be set.
inline recurrent_sgd sgd(float rate) noexcept { return RECURRENT_SGD(rate); }
inline recurrent_adam adam(float rate) noexcept { return RECURRENT_ADAM(rate); }
inline recurrent_adam adamw(float rate) noexcept { return RECURRENT_ADAMW(rate); }

// A training on batches of one size: weights, gradients and moments, and all buffers of a pass. It refers to its
// model, which must not move and must outlive it. The model itself does not change: see Model::use. Its cells
// must be named in `_training`.
class Training {
public:
    // Allocates everything for batches of `batch` rows of `steps` steps, and copies the weights of the model.
    bool begin(const Model &model, std::size_t steps, std::size_t batch, Error &error) noexcept {
        return allocate_all(model, steps, batch, error) &&
               recurrent_model_copy_weights(model_, weights_.data.get(), weights_.size, error.out()) == RECURRENT_OK;
    }

    // The same with initial weights that are drawn, for a model without weights.
    bool begin_new(const Model &model, std::size_t steps, std::size_t batch, std::uint64_t seed, Error &error) noexcept {
        return allocate_all(model, steps, batch, error) && init(seed, error);
    }

    // Draws initial weights instead, and starts the optimiser again.
    bool init(std::uint64_t seed, Error &error) noexcept {
        for (float &moment : moments_.span()) moment = 0;
        return recurrent_model_init(model_, &seed, weights_.data.get(), weights_.size, error.out()) == RECURRENT_OK;
    }

    // Starts other sequences. Without it, the next batch continues those of the last one.
    bool reset(Error &error) noexcept {
        return recurrent_reset(model_, batch_, state_.data.get(), state_.size, error.out()) == RECURRENT_OK;
    }

    // Draws dropout for the next pass, of a model with layers of dropout. `recurrent` is the probability of
    // recurrent dropout.
    bool draw_dropout(std::uint64_t &seed, Error &error, float recurrent = 0) noexcept {
        return recurrent_draw_dropout(model_, steps_, batch_, recurrent, &seed, dropout_.data.get(), dropout_.size,
                                      error.out()) == RECURRENT_OK;
    }

    // One pass with the cross-entropy of classes: writes the gradients and `loss`. `x` are values or ids.
    template <class T>
    recurrent_status classes(Span<const T> x, Span<const std::uint32_t> targets, float &loss, Error *error = nullptr) noexcept {
        recurrent_training of = buffers(x);
        of.loss = RECURRENT_LOSS_CROSS_ENTROPY;
        of.target_classes = targets.data(), of.target_classes_len = targets.size();
        return pass(of, loss, error);
    }

    // The same with a loss over numbers: RECURRENT_LOSS_MEAN_SQUARED_ERROR or _BINARY_CROSS_ENTROPY.
    template <class T>
    recurrent_status numbers(Span<const T> x, std::int32_t kind, Span<const float> targets, float &loss,
                             Error *error = nullptr) noexcept {
        recurrent_training of = buffers(x);
        of.loss = kind;
        of.targets = targets.data(), of.targets_len = targets.size();
        return pass(of, loss, error);
    }

    // For a loss that the program computes itself: the forward half, which writes the outputs `y`.
    template <class T>
    recurrent_status forward(Span<const T> x, Span<float> y, Error *error = nullptr) noexcept {
        recurrent_own_training of = own(x);
        of.y = y.data(), of.y_len = y.size();
        of.state = state_.data.get(), of.state_len = state_.size;
        const recurrent_sequences sequences = all();
        return recurrent_forward_train(model_, &sequences, &of, error ? error->out() : nullptr);
    }

    // The backward half, with the gradient of the loss in each output, and the same input. Writes the gradients
    // of the weights, and that of the input to `dx` unless it is empty.
    template <class T>
    recurrent_status backward(Span<const T> x, Span<const float> dy, Span<float> dx = {}, Error *error = nullptr) noexcept {
        recurrent_own_training of = own(x);
        of.dy = dy.data(), of.dy_len = dy.size();
        of.dx = dx.data(), of.dx_len = dx.size();
        of.grads = grads_.data.get(), of.grads_len = grads_.size;
        const recurrent_sequences sequences = all();
        return recurrent_backward(model_, &sequences, &of, error ? error->out() : nullptr);
    }

    // One update with gradients whose norm is limited to `max`. Gradients that are not finite are an error and
    // change nothing. Use the same optimiser from the first update on.
    recurrent_status update(const recurrent_sgd &by, float max, Error *error = nullptr) noexcept {
        return by_rule(recurrent_sgd_update, &by, recurrent_sgd_moments_len(&by, weights_.size), max, error);
    }

    recurrent_status update_adam(recurrent_adam &by, float max, Error *error = nullptr) noexcept {
        return by_rule(recurrent_adam_update, &by, moments_.size, max, error);
    }

    recurrent_status update_adamw(recurrent_adam &by, float max, Error *error = nullptr) noexcept {
        return by_rule(recurrent_adamw_update, &by, moments_.size, max, error);
    }

    // To run with: see Model::use. They may also be set, for example from a file.
    Span<float> weights() noexcept { return weights_.span(); }
    // Of the last pass.
    Span<const float> grads() const noexcept { return {grads_.data.get(), grads_.size}; }

private:
    struct Buffer {
        Buffer() noexcept = default;
        explicit Buffer(std::size_t len) noexcept : data(allocate<float>(len)), size(len) {}
        Span<float> span() const noexcept { return {data.get(), size}; }
        std::unique_ptr<float[]> data;
        std::size_t size = 0;
    };

    bool allocate_all(const Model &model, std::size_t steps, std::size_t batch, Error &error) noexcept {
        const recurrent_model *of = model.get();
        Buffer weights(recurrent_model_weights_len(of)), grads(weights.size), moments(recurrent_adam_moments_len(weights.size)),
            state(recurrent_model_state_len(of, batch)), tape(recurrent_model_tape_len(of, steps, batch)),
            scratch(recurrent_model_backward_scratch_len(of, steps, batch)), dropout(recurrent_model_dropout_len(of, steps, batch));
        if (!weights.data || !grads.data || !moments.data || !state.data || !tape.data || !scratch.data || !dropout.data)
            return error.no_memory("tape", 4), false;
        model_ = of, steps_ = steps, batch_ = batch;
        weights_ = std::move(weights), grads_ = std::move(grads), moments_ = std::move(moments);
        state_ = std::move(state), tape_ = std::move(tape), scratch_ = std::move(scratch), dropout_ = std::move(dropout);
        return reset(error);
    }

    recurrent_sequences all() const noexcept {
        recurrent_sequences sequences{};
        sequences.steps = steps_, sequences.batch = batch_;
        return sequences;
    }

    template <class T>
    recurrent_own_training own(Span<const T> x) const noexcept {
        recurrent_own_training of{};
        if constexpr (std::is_same_v<T, float>) of.x = x.data(), of.x_len = x.size();
        else of.ids = x.data(), of.ids_len = x.size();
        of.weights = weights_.data.get(), of.weights_len = weights_.size;
        of.dropout = dropout_.data.get(), of.dropout_len = dropout_.size;
        of.tape = tape_.data.get(), of.tape_len = tape_.size;
        of.scratch = scratch_.data.get(), of.scratch_len = scratch_.size;
        return of;
    }

    template <class T>
    recurrent_training buffers(Span<const T> x) const noexcept {
        recurrent_training of{};
        if constexpr (std::is_same_v<T, float>) of.x = x.data(), of.x_len = x.size();
        else of.ids = x.data(), of.ids_len = x.size();
        of.weights = weights_.data.get(), of.weights_len = weights_.size;
        of.dropout = dropout_.data.get(), of.dropout_len = dropout_.size;
        of.grads = grads_.data.get(), of.grads_len = grads_.size;
        of.state = state_.data.get(), of.state_len = state_.size;
        of.tape = tape_.data.get(), of.tape_len = tape_.size;
        of.scratch = scratch_.data.get(), of.scratch_len = scratch_.size;
        return of;
    }

    recurrent_status pass(const recurrent_training &of, float &loss, Error *error) noexcept {
        const recurrent_sequences sequences = all();
        return recurrent_forward_backward(model_, &sequences, &of, &loss, error ? error->out() : nullptr);
    }

    template <class F, class O>
    recurrent_status by_rule(F function, O *by, std::size_t moments_len, float max, Error *error) noexcept {
        recurrent_error *out = error ? error->out() : nullptr;
        float scale = 1;
        const recurrent_status status = recurrent_clip_scale(grads_.data.get(), grads_.size, max, &scale, nullptr, out);
        if (status != RECURRENT_OK) return status;
        return function(by, weights_.data.get(), weights_.size, grads_.data.get(), grads_.size, moments_.data.get(),
                        moments_len, scale, out);
    }

    const recurrent_model *model_ = nullptr;
    std::size_t steps_ = 0, batch_ = 0;
    Buffer weights_, grads_, moments_, state_, tape_, scratch_, dropout_;
};

} // namespace recurrent

#endif
