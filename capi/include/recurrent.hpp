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

// A model from an image, with its table of layers and its packed weights. The caller owns the image, which
// must outlive the model. Any number of threads may run streams of the same model at the same time.
class Model {
public:
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

} // namespace recurrent

#endif
