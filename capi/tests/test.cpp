// Tests the C++ header: opening, streams, chunks, two voices of one model, errors.
#include "recurrent.hpp"

#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iterator>
#include <thread>
#include <vector>

static int failures;

#define CHECK(condition)                                                                                                \
    do {                                                                                                                \
        if (!(condition)) {                                                                                             \
            failures++;                                                                                                 \
            std::printf("%s:%d: %s\n", __FILE__, __LINE__, #condition);                                                 \
        }                                                                                                               \
    } while (0)

static std::vector<std::uint8_t> load(const char *path) {
    std::ifstream in(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(in), {}};
}

// The outputs of a stream that runs step by step.
static std::vector<float> run(const recurrent::Model &model, const std::vector<float> &x, std::size_t steps) {
    recurrent::Error error;
    recurrent::Stream stream;
    CHECK(stream.begin(model, error));
    std::vector<float> y(steps * model.output());
    for (std::size_t t = 0; t < steps; t++) {
        CHECK(stream.step({x.data() + t * model.input(), model.input()}, {y.data() + t * model.output(), model.output()},
                          &error) == RECURRENT_OK);
    }
    return y;
}

static void test(const char *path) {
    const std::vector<std::uint8_t> image = load(path);
    recurrent::Error error;
    recurrent::Model model;
    CHECK(model.get() == nullptr && model.input() == 0);
    CHECK(!model.open(image, {recurrent_lstm()}, error));
    CHECK(error.status() == RECURRENT_ERROR_CELL && error.name() == "RECURRENT_ERROR_CELL");
    CHECK(error.text() == "layer 0 of the model is of the form GRU, which the program did not name");
    CHECK(!model.open(recurrent::Span<const std::uint8_t>(image.data(), 40), {recurrent_gru()}, error));
    CHECK(error.status() == RECURRENT_ERROR_IMAGE && model.get() == nullptr);
    CHECK(model.open(image, {recurrent_lstm(), recurrent_gru()}, error));
    CHECK(model.classes() == 0 && !model.is_pooled());

    constexpr std::size_t steps = 50;
    std::vector<float> x(steps * model.input());
    for (std::size_t i = 0; i < x.size(); i++) x[i] = std::sin(0.3f * static_cast<float>(i));
    const std::vector<float> y = run(model, x, steps);

    // A single chunk gives the same bits, while another voice runs on another thread.
    recurrent::Stream stream;
    CHECK(stream.begin(model, error, steps));
    std::vector<float> whole(y.size()), other;
    std::thread voice([&] { other = run(model, x, steps); });
    CHECK(stream.forward(steps, x, whole, &error) == RECURRENT_OK);
    voice.join();
    CHECK(std::memcmp(y.data(), whole.data(), y.size() * sizeof(float)) == 0);
    CHECK(std::memcmp(y.data(), other.data(), y.size() * sizeof(float)) == 0);
    CHECK(stream.reset(error) && stream.state()[0] == 0.0f);

    CHECK(stream.step(recurrent::Span<const float>(x.data(), 0), whole, &error) == RECURRENT_ERROR_LENGTH);
    CHECK(stream.step(recurrent::Span<const float>(), recurrent::Span<float>()) != RECURRENT_OK);
    const std::uint32_t ids[] = {1};
    CHECK(stream.step(ids, whole) == RECURRENT_ERROR_VALUE);
    // A moved model keeps its memory at the same address.
    const recurrent_model *before = model.get();
    recurrent::Model moved = std::move(model);
    CHECK(moved.get() == before && run(moved, x, steps) == y);
}

int main(int argc, char **argv) {
    for (int i = 1; i < argc; i++) test(argv[i]);
    std::printf("C++: %d failures\n", failures);
    return failures != 0;
}
