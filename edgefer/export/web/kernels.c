// The small form's layers, for WebAssembly with 128-bit SIMD. build.sh makes kernels.wasm of this file.
//
// A tensor is float32 (height, width, channels) with a border of one pixel of zeros around it, so that a 3x3 window never
// asks where it is. Channels are padded to a multiple of 4; a row has `row` floats, a pixel `pixel`.

#include <wasm_simd128.h>

#define EXPORT(name) __attribute__((export_name(name)))
#define INLINE static inline __attribute__((always_inline))

typedef const float *Input;

typedef struct {
    int row, pixel, inputs, side, stride, relu;
} Conv;

// `pixels` neighbours by 4 x `vectors` output channels: the sums stay in registers.
INLINE void tile(const int pixels, const int vectors, Conv c, Input in, Input weights, Input bias, Input add, float *out,
                 int out_pixel, int outputs) {
    v128_t sums[4][2];
    for (int p = 0; p < pixels; p++)
        for (int v = 0; v < vectors; v++) sums[p][v] = wasm_v128_load(bias + 4 * v);
    for (int y = 0; y < c.side; y++) {
        for (int x = 0; x < c.side; x++) {
            Input at = in + y * c.row + x * c.pixel;
            for (int i = 0; i < c.inputs; i++, weights += outputs) {
                v128_t w[2];
                for (int v = 0; v < vectors; v++) w[v] = wasm_v128_load(weights + 4 * v);
                for (int p = 0; p < pixels; p++) {
                    v128_t value = wasm_v128_load32_splat(at + p * c.stride * c.pixel + i);
                    for (int v = 0; v < vectors; v++)
                        sums[p][v] = wasm_f32x4_add(sums[p][v], wasm_f32x4_mul(value, w[v]));
                }
            }
        }
    }
    v128_t zero = wasm_f32x4_const_splat(0);
    for (int p = 0; p < pixels; p++) {
        for (int v = 0; v < vectors; v++) {
            v128_t sum = sums[p][v];
            if (add) sum = wasm_f32x4_add(sum, wasm_v128_load(add + p * out_pixel + 4 * v));
            if (c.relu) sum = wasm_f32x4_pmax(zero, sum);
            wasm_v128_store(out + p * out_pixel + 4 * v, sum);
        }
    }
}

// Convolution, then `add` (a tensor as `out`, or null), then ReLU where `relu` is set.
// weights: for each 8 output channels (the last may be 4) side x side x inputs x 8.
EXPORT("conv")
void conv(Input in, int row, int pixel, int inputs, Input weights, Input bias, int side, int stride, Input add, float *out,
          int out_row, int out_pixel, int height, int width, int outputs, int relu) {
    Conv c = {row, pixel, inputs, side, stride, relu};
    for (int first = 0; first < outputs; first += 8) {
        int wide = outputs - first >= 8;
        for (int y = 0; y < height; y++) {
            for (int x = 0; x < width;) {
                Input from = in + y * stride * row + x * stride * pixel;
                int place = y * out_row + x * out_pixel + first;
                Input more = add ? add + place : 0;
#define TILE(pixels) \
    (wide ? tile(pixels, 2, c, from, weights, bias + first, more, out + place, out_pixel, 8) \
          : tile(pixels, 1, c, from, weights, bias + first, more, out + place, out_pixel, 4))
                if (width - x >= 4) TILE(4), x += 4;
                else if (width - x >= 2) TILE(2), x += 2;
                else TILE(1), x += 1;
            }
        }
        weights += side * side * inputs * (wide ? 8 : 4);
    }
}

// 3x3 convolution of each channel by itself, stride 1. weights: 9 x channels.
EXPORT("depthwise")
void depthwise(Input in, int row, int pixel, Input weights, Input bias, float *out, int out_row, int out_pixel, int height,
               int width, int channels, int relu) {
    v128_t zero = wasm_f32x4_const_splat(0);
    for (int first = 0; first < channels; first += 4) {
        v128_t w[9], start = wasm_v128_load(bias + first);
        for (int t = 0; t < 9; t++) w[t] = wasm_v128_load(weights + t * channels + first);
        for (int y = 0; y < height; y++) {
            for (int x = 0; x < width; x++) {
                Input at = in + y * row + x * pixel + first;
                v128_t sum = start;
                for (int t = 0; t < 9; t++)
                    sum = wasm_f32x4_add(sum, wasm_f32x4_mul(w[t], wasm_v128_load(at + t / 3 * row + t % 3 * pixel)));
                wasm_v128_store(out + y * out_row + x * out_pixel + first, relu ? wasm_f32x4_pmax(zero, sum) : sum);
            }
        }
    }
}

// The largest of each 2x2 pixels.
EXPORT("maxpool")
void maxpool(Input in, int row, int pixel, float *out, int out_row, int out_pixel, int height, int width, int channels) {
    for (int y = 0; y < height; y++)
        for (int x = 0; x < width; x++)
            for (int i = 0; i < channels; i += 4) {
                Input at = in + 2 * y * row + 2 * x * pixel + i;
                v128_t upper = wasm_f32x4_max(wasm_v128_load(at), wasm_v128_load(at + pixel));
                v128_t lower = wasm_f32x4_max(wasm_v128_load(at + row), wasm_v128_load(at + row + pixel));
                wasm_v128_store(out + y * out_row + x * out_pixel + i, wasm_f32x4_max(upper, lower));
            }
}

// A tensor plus one of half its size, each pixel of which counts for four.
EXPORT("upsample_add")
void upsample_add(Input in, Input half, int half_row, int half_pixel, float *out, int row, int pixel, int height, int width,
                  int channels) {
    for (int y = 0; y < height; y++)
        for (int x = 0; x < width; x++)
            for (int i = 0; i < channels; i += 4) {
                int place = y * row + x * pixel + i;
                v128_t low = wasm_v128_load(half + y / 2 * half_row + x / 2 * half_pixel + i);
                wasm_v128_store(out + place, wasm_f32x4_add(wasm_v128_load(in + place), low));
            }
}

// The average over all pixels.
EXPORT("average")
void average(Input in, int row, int pixel, int height, int width, float *out, int channels) {
    for (int i = 0; i < channels; i += 4) {
        v128_t sum = wasm_f32x4_const_splat(0);
        for (int y = 0; y < height; y++)
            for (int x = 0; x < width; x++) sum = wasm_f32x4_add(sum, wasm_v128_load(in + y * row + x * pixel + i));
        wasm_v128_store(out + i, wasm_f32x4_div(sum, wasm_f32x4_splat((float)(height * width))));
    }
}
