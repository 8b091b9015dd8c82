/* Integer kernels whose loops run by shapes alone: nothing branches on data, so that a loop table prices them exactly.
 * Output stage: TFLite's double rounding, then a clamp, without branches. KERNEL is one call, given on the command line.
 */
#include <stdint.h>

#define NOINLINE __attribute__((noinline))
#ifdef RDCYCLE
#define CSR(name) ({ uint32_t v; asm volatile("rd" name " %0" : "=r"(v) : : "memory"); v; })
#else
#define CSR(name) ({ uint32_t v; asm volatile("csrr %0, m" name : "=r"(v) : : "memory"); v; })
#endif

typedef struct {
    int32_t height, width, channels, out_height, out_width, filters, kernel_h, kernel_w, stride, pad;
    int32_t input_offset, output_offset, low, high;
} layer_t;

static int8_t input[1 << 14], weights[1 << 15], output[1 << 14];
static int32_t bias[256], multiplier[256], shift[256];
static layer_t layer;

static inline int8_t requantize(int32_t sum, int32_t mult, int32_t right, const layer_t *l) {
    int32_t high = (int32_t)(((int64_t)sum * mult + (1 << 30)) >> 31);
    int32_t mask = (1 << right) - 1;
    int32_t value = (high >> right) + ((high & mask) > (mask >> 1) + (high < 0)) + l->output_offset;
    int32_t above = value - l->low;
    value = l->low + (above & ~(above >> 31));
    int32_t over = value - l->high;
    return (int8_t)(value - (over & ~(over >> 31)));
}

NOINLINE void conv2d(const layer_t *l, const int8_t *in, const int8_t *w, int8_t *out) {
    for (int y = 0; y < l->out_height; y++)
        for (int x = 0; x < l->out_width; x++)
            for (int o = 0; o < l->filters; o++) {
                int32_t sum = bias[o];
                for (int i = 0; i < l->kernel_h; i++) {
                    int in_y = y * l->stride - l->pad + i;
                    if ((uint32_t)in_y >= (uint32_t)l->height) continue;
                    for (int j = 0; j < l->kernel_w; j++) {
                        int in_x = x * l->stride - l->pad + j;
                        if ((uint32_t)in_x >= (uint32_t)l->width) continue;
                        const int8_t *p = in + (in_y * l->width + in_x) * l->channels;
                        const int8_t *q = w + ((o * l->kernel_h + i) * l->kernel_w + j) * l->channels;
                        for (int c = 0; c < l->channels; c++) sum += (p[c] + l->input_offset) * q[c];
                    }
                }
                *out++ = requantize(sum, multiplier[o], shift[o], l);
            }
}

NOINLINE void depthwise(const layer_t *l, const int8_t *in, const int8_t *w, int8_t *out) {
    for (int y = 0; y < l->out_height; y++)
        for (int x = 0; x < l->out_width; x++)
            for (int c = 0; c < l->channels; c++) {
                int32_t sum = bias[c];
                for (int i = 0; i < l->kernel_h; i++) {
                    int in_y = y * l->stride - l->pad + i;
                    if ((uint32_t)in_y >= (uint32_t)l->height) continue;
                    for (int j = 0; j < l->kernel_w; j++) {
                        int in_x = x * l->stride - l->pad + j;
                        if ((uint32_t)in_x >= (uint32_t)l->width) continue;
                        sum += (in[(in_y * l->width + in_x) * l->channels + c] + l->input_offset) *
                               w[(i * l->kernel_w + j) * l->channels + c];
                    }
                }
                *out++ = requantize(sum, multiplier[c], shift[c], l);
            }
}

NOINLINE void fully_connected(const layer_t *l, const int8_t *in, const int8_t *w, int8_t *out) {
    for (int o = 0; o < l->filters; o++) {
        int32_t sum = bias[o];
        for (int c = 0; c < l->channels; c++) sum += (in[c] + l->input_offset) * *w++;
        out[o] = requantize(sum, multiplier[o], shift[o], l);
    }
}

int main(void) {
    uint32_t seed = 1;
    for (unsigned i = 0; i < sizeof input; i++) input[i] = (seed = seed * 1664525 + 1013904223) >> 24;
    for (unsigned i = 0; i < sizeof weights; i++) weights[i] = (seed = seed * 1664525 + 1013904223) >> 24;
    for (unsigned i = 0; i < 256; i++) {
        bias[i] = (int32_t)(seed = seed * 1664525 + 1013904223) >> 18;
        multiplier[i] = (1 << 30) + (seed >> 3);
        shift[i] = 8;
    }
    layer = (layer_t){SHAPE, 3, -4, -128, 127};
#ifndef RDCYCLE
    asm volatile("csrw mcountinhibit, zero");
#endif
    uint32_t cycles = CSR("cycle"), instructions = CSR("instret");
    KERNEL(&layer, input, weights, output);
    instructions = CSR("instret") - instructions;
    cycles = CSR("cycle") - cycles;
    volatile uint32_t *report = (void *)0xfff00000;
    report[1] = instructions;
    report[2] = cycles;
    report[0] = 1;
    return 0;
}
