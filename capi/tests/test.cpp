// Tests the C++ header: opening, streams, chunks, two voices of one model, training, described layers, errors.
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

// Training from random weights, and running with what was learned.
static void training(const char *path) {
    constexpr std::size_t steps = 8, rows = 4;
    const std::vector<std::uint8_t> image = load(path);
    recurrent::Error error;
    recurrent::Model model;
    recurrent::Training training;
    CHECK(model.open(image, {recurrent_gru()}, error) && training.begin(model, steps, rows, error));
    std::vector<float> x(steps * rows * model.input());
    std::vector<std::uint32_t> targets(steps * rows);
    std::uint64_t seed = 3;
    for (float &value : x) value = static_cast<float>(recurrent_random(&seed) >> 40) / 8388608.0f - 1.0f;
    for (std::size_t i = rows; i < targets.size(); i++) targets[i] = x[(i - rows) * model.input()] > 0;
    const recurrent::Span<const float> inputs(x);
    float first = 0, loss = 0;
    CHECK(training.classes(inputs, targets, loss, &error) == RECURRENT_ERROR_LAYERS); // not named in `_training`

    for (int optimiser = 0; optimiser < 3; optimiser++) {
        CHECK(model.open(image, {recurrent_gru_training()}, error) && training.begin(model, steps, rows, error));
        CHECK(training.init(1, error));
        recurrent_sgd sgd = recurrent::sgd(0.2f);
        sgd.momentum = 0.9f;
        recurrent_adam adam = recurrent::adam(0.02f), adamw = recurrent::adamw(0.02f);
        for (int i = 0; i < 300; i++) {
            CHECK(training.reset(error) && training.classes(inputs, targets, loss, &error) == RECURRENT_OK);
            if (i == 0) first = loss;
            if (optimiser == 0) CHECK(training.update(sgd, 1, &error) == RECURRENT_OK);
            if (optimiser == 1) CHECK(training.update_adam(adam, 1) == RECURRENT_OK);
            if (optimiser == 2) CHECK(training.update_adamw(adamw, 1) == RECURRENT_OK);
        }
        CHECK(first > 0.3f && loss < 0.05f && training.grads().size() == training.weights().size());
    }
    const std::vector<float> before = run(model, x, steps);
    CHECK(model.use(training.weights(), error));
    CHECK(run(model, x, steps) != before);
    CHECK(model.use({}, error) && run(model, x, steps) == before);
    CHECK(!model.use(recurrent::Span<const float>(x.data(), 1), error));
    CHECK(error.status() == RECURRENT_ERROR_LENGTH);

    // Numbers as targets, ids for a model that takes values, and gradients that are not finite.
    std::vector<float> y(steps * rows * model.output());
    const recurrent::Span<const float> wanted(y);
    CHECK(training.numbers(inputs, RECURRENT_LOSS_MEAN_SQUARED_ERROR, wanted, loss, &error) == RECURRENT_OK);
    CHECK(training.numbers(inputs, RECURRENT_LOSS_CROSS_ENTROPY, wanted, loss, &error) == RECURRENT_ERROR_VALUE);
    CHECK(training.classes(recurrent::Span<const std::uint32_t>(targets), targets, loss) == RECURRENT_ERROR_VALUE);
    CHECK(training.draw_dropout(seed, error));
    y[0] = INFINITY;
    CHECK(training.numbers(inputs, RECURRENT_LOSS_MEAN_SQUARED_ERROR, wanted, loss, &error) == RECURRENT_OK);
    const std::vector<float> weights(training.weights().begin(), training.weights().end());
    CHECK(training.update(recurrent::sgd(0.1f), 1, &error) == RECURRENT_ERROR_VALUE);
    CHECK(std::memcmp(weights.data(), training.weights().data(), weights.size() * sizeof(float)) == 0);
}

// A model without an image: the weights of an image run in it with the same bits, and it learns.
static void described(const char *path) {
    constexpr std::size_t steps = 8, rows = 4;
    const std::vector<std::uint8_t> image = load(path);
    recurrent::Error error;
    recurrent::Model opened, model;
    recurrent::Training training;
    CHECK(opened.open(image, {recurrent_gru_training()}, error) && training.begin(opened, steps, rows, error));
    const std::size_t len = training.weights().size(), input = opened.input(), output = opened.output();
    // The images are those of a GRU and a dense layer.
    const std::size_t units = recurrent_model_state_len(opened.get(), 1);
    const recurrent_layer layers[] = {
        RECURRENT_LAYER(GRU, static_cast<std::uint32_t>(input), static_cast<std::uint32_t>(units)),
        RECURRENT_LAYER(DENSE, static_cast<std::uint32_t>(units), static_cast<std::uint32_t>(output))};
    CHECK(!model.build(layers, {recurrent_lstm()}, error) && error.status() == RECURRENT_ERROR_CELL);
    CHECK(!model.build({}, {recurrent_gru()}, error) && error.status() == RECURRENT_ERROR_LAYERS && model.get() == nullptr);
    CHECK(model.build(layers, {recurrent_gru_training()}, error));
    recurrent::Training other;
    CHECK(!other.begin(model, steps, rows, error) && error.status() == RECURRENT_ERROR_VALUE);
    CHECK(!model.use({}, error) && error.status() == RECURRENT_ERROR_LENGTH);
    CHECK(model.use(training.weights(), error));
    std::vector<float> x(steps * rows * input), y(steps * rows * output), dy(y.size()), dx(x.size());
    std::uint64_t seed = 3;
    for (float &value : x) value = static_cast<float>(recurrent_random(&seed) >> 40) / 8388608.0f - 1.0f;
    CHECK(run(model, x, steps) == run(opened, x, steps));

    // Learns twice the input by the program's own loss.
    CHECK(other.begin_new(model, steps, rows, 5, error) && other.weights().size() == len);
    const recurrent::Span<const float> inputs(x), slopes(dy);
    recurrent_adam adam = recurrent::adam(0.02f);
    float first = 0, loss = 0;
    for (int i = 0; i < 300; i++) {
        CHECK(other.reset(error) && other.forward(inputs, y, &error) == RECURRENT_OK);
        loss = 0;
        for (std::size_t at = 0; at < y.size(); at++) {
            const float off = y[at] - 2 * x[at / output * input];
            loss += off * off / static_cast<float>(y.size());
            dy[at] = 2 * off / static_cast<float>(y.size());
        }
        if (i == 0) first = loss;
        CHECK(other.backward(inputs, slopes, dx, &error) == RECURRENT_OK && std::isfinite(dx[0]));
        CHECK(other.update_adam(adam, 1, &error) == RECURRENT_OK);
    }
    CHECK(first > 0.3f && loss < 0.1f * first);
    CHECK(other.backward(inputs, recurrent::Span<const float>(dy.data(), 1), {}, &error) == RECURRENT_ERROR_LENGTH);
    CHECK(other.backward(inputs, slopes) == RECURRENT_OK);
    CHECK(other.forward(recurrent::Span<const float>(), y, &error) == RECURRENT_ERROR_LENGTH);
}

int main(int argc, char **argv) {
    for (int i = 1; i < argc; i++) {
        test(argv[i]);
        training(argv[i]);
        described(argv[i]);
    }
    std::printf("C++: %d failures\n", failures);
    return failures != 0;
}
