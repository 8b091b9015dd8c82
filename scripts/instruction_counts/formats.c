/* Inner loops of matrix products with weights in narrow formats: two rows of weights, two columns of activations, as
   arm_nn_mat_mult_kernel_s8_s16.c of CMSIS-NN 99f736a6 has them for 8 bits. Codes are unsigned; what that adds to a sum
   is the same for all rows of a column and goes to the bias. Words of codes hold them in the order in which the loops
   take them, and so do the columns (CMix-NN's reordering). Counted by count.py. */
#include <stdint.h>
#include <arm_acle.h>
typedef int16_t s16; typedef int32_t s32; typedef uint8_t u8; typedef uint16_t u16; typedef uint32_t u32;
typedef struct { int rows, depth; const u32 *weights; const s32 *columns, *second, *table; s32 *out; } P;
#define BEGIN(per) s32 *out = p->out; const u32 *w = p->weights; int words = p->depth / (per); \
  for (int r = p->rows / 2; r; r--) { const u32 *v = w + words; const s32 *x = p->columns, *y = p->second; \
    s32 a = 0, b = 0, c = 0, d = 0; for (int n = words; n; n--) { u32 f = *w++, g = *v++;
#define END } *out++ = a; *out++ = b; *out++ = c; *out++ = d; w = v; } }
#define PAIR(one, other) { s32 i = (s32)(one), j = (s32)(other), s = *x++, t = *y++; \
  a = __smlad(i, s, a); b = __smlad(i, t, b); c = __smlad(j, s, c); d = __smlad(j, t, d); }
#define ROR(v, n) ((n) ? ((v) >> (n)) | ((v) << ((32 - (n)) & 31)) : (v))
#define MASKED(n, mask) PAIR(ROR(f, n) & (mask), ROR(g, n) & (mask))
#define UP4(m, n, s) m(n) m((n) + (s)) m((n) + 2 * (s)) m((n) + 3 * (s))

void w8(const P *p) { BEGIN(4)
  PAIR(__sxtb16(f), __sxtb16(g)) PAIR(__sxtb16(ROR(f, 8)), __sxtb16(ROR(g, 8))) END
#define M4(n) MASKED(n, 0x000F000Fu)
void w4(const P *p) { BEGIN(8) UP4(M4, 0, 4) END
#define M2(n) MASKED(n, 0x00030003u)
void w2(const P *p) { BEGIN(16) UP4(M2, 0, 2) UP4(M2, 8, 2) END
#define M1(n) MASKED(n, 0x00010001u)
void w1(const P *p) { BEGIN(32) UP4(M1, 0, 1) UP4(M1, 4, 1) UP4(M1, 8, 1) UP4(M1, 12, 1) END
/* 3 bits: two words of low pairs, then a word of their high bits */
#define M3(n) PAIR((ROR(f, 2 * (n)) & 0x00030003u) + ((ROR(h, n) & 0x00010001u) << 2), \
                   (ROR(g, 2 * (n)) & 0x00030003u) + ((ROR(k, n) & 0x00010001u) << 2))
void w3(const P *p) { s32 *out = p->out; const u32 *w = p->weights; int words = p->depth / 32;
  for (int r = p->rows / 2; r; r--) { const u32 *v = w + 3 * words; const s32 *x = p->columns, *y = p->second;
    s32 a = 0, b = 0, c = 0, d = 0;
    for (int n = words; n; n--) { u32 f = w[0], g = v[0], h = w[2], k = v[2]; UP4(M3, 0, 1) UP4(M3, 4, 1)
      f = w[1], g = v[1], h = ROR(h, 8), k = ROR(k, 8); w += 3, v += 3; UP4(M3, 0, 1) UP4(M3, 4, 1) }
    *out++ = a; *out++ = b; *out++ = c; *out++ = d; w = v; } }
/* levels: a table of pairs of int16, indexed by the bits of two codes */
#define T(n, bits) PAIR(table[(f >> (n)) & ((1u << 2 * (bits)) - 1)], table[(g >> (n)) & ((1u << 2 * (bits)) - 1)])
#define T4(n) T(n, 4)
void t4(const P *p) { const s32 *table = p->table; BEGIN(8) UP4(T4, 0, 8) END
#define T3(n) T(n, 3)
void t3(const P *p) { const s32 *table = p->table; BEGIN(10) UP4(T3, 0, 6) T3(24) END
#define T2(n) T(n, 2)
void t2(const P *p) { const s32 *table = p->table; BEGIN(16) UP4(T2, 0, 4) UP4(T2, 16, 4) END
#define T1(n) T(n, 1)
void t1(const P *p) { const s32 *table = p->table; BEGIN(32) UP4(T1, 0, 2) UP4(T1, 8, 2) UP4(T1, 16, 2) UP4(T1, 24, 2) END
/* 5 to 8 bits: a table of int16, one code at a time */
void t8(const P *p) { const s16 *table = (const s16 *)p->table; BEGIN(4)
#define LOOK(v, n) (table[((v) >> (n)) & 255])
#define BOTH(v, n) ((u16)LOOK(v, n) | ((u32)(u16)LOOK(v, (n) + 8) << 16))
  PAIR(BOTH(f, 0), BOTH(g, 0)) PAIR(BOTH(f, 16), BOTH(g, 16)) END
/* 4-bit powers of two: 3 bits of shift, a sign; activations one at a time */
void shift_add(const P *p) { s32 *out = p->out; const u32 *w = p->weights; int words = p->depth / 8;
  for (int r = p->rows; r; r--) { const s16 *x = (const s16 *)p->columns, *y = (const s16 *)p->second; s32 a = 0, b = 0;
    for (int n = words; n; n--) { u32 f = *w++;
      for (int i = 0; i < 8; i++) { u32 s = (f >> 4 * i) & 7; s32 m = (s32)(f << (28 - 4 * i)) >> 31;
        a += ((*x++ << s) ^ m) - m; b += ((*y++ << s) ^ m) - m; } }
    *out++ = a; *out++ = b; } }
/* one plane of bits: 4 of them choose a sum from a table of 16 */
void bit_serial(const P *p) { s32 *out = p->out; const u32 *w = p->weights; int words = p->depth / 32;
  for (int r = p->rows; r; r--) { const s16 *x = (const s16 *)p->columns, *y = (const s16 *)p->second; s32 a = 0, b = 0;
    for (int n = words; n; n--) { u32 f = *w++;
#define READ(n) { u32 i = (f >> (n)) & 15; a += x[i]; b += y[i]; x += 16; y += 16; }
      UP4(READ, 0, 4) UP4(READ, 16, 4) }
    *out++ = a; *out++ = b; } }
/* the tables: 16 sums for every 4 activations */
void bit_serial_tables(const P *p) { const s16 *x = (const s16 *)p->columns; s16 *t = (s16 *)p->out;
  for (int n = p->depth / 4; n; n--, x += 4, t += 16) { s32 a = x[0], b = x[1], c = x[2], d = x[3], ab = a + b, cd = c + d;
    t[0] = 0; t[1] = a; t[2] = b; t[3] = ab; t[4] = c; t[5] = a + c; t[6] = b + c; t[7] = ab + c; t[8] = d; t[9] = a + d;
    t[10] = b + d; t[11] = ab + d; t[12] = cd; t[13] = a + cd; t[14] = b + cd; t[15] = ab + cd; } }
/* one plane of activations against one of weights: no instruction counts bits, so 12 do */
static inline u32 ones(u32 v) { v -= (v >> 1) & 0x55555555u; v = (v & 0x33333333u) + ((v >> 2) & 0x33333333u);
  return (((v + (v >> 4)) & 0x0F0F0F0Fu) * 0x01010101u) >> 24; }
void xnor(const P *p) { BEGIN(32) u32 s = (u32)*x++, t = (u32)*y++; a += ones(f ^ s); b += ones(f ^ t); c += ones(g ^ s); d += ones(g ^ t); END
/* 32 activations of 8 bits to 8 planes */
void xnor_planes(const P *p) { const u8 *x = (const u8 *)p->columns; u32 *o = (u32 *)p->out;
  for (int n = p->depth / 32; n; n--, o += 8) { u32 q[8] = {0}; for (int k = 0; k < 32; k++) { u32 v = *x++;
      for (int i = 0; i < 8; i++) q[i] |= ((v >> i) & 1) << k; }
    for (int i = 0; i < 8; i++) o[i] = q[i]; } }
/* unpacked to bytes before the layer */
#define STORE(n, mask) *o++ = (s32)((f >> (n)) & (mask));
#define S4(n) STORE(n, 0x0F0F0F0Fu)
#define S2(n) STORE(n, 0x03030303u)
#define S1(n) STORE(n, 0x01010101u)
void unpack4(const P *p) { const u32 *w = p->weights; s32 *o = p->out; for (int n = p->depth / 8; n; n--) { u32 f = *w++; S4(0) S4(4) } }
void unpack2(const P *p) { const u32 *w = p->weights; s32 *o = p->out; for (int n = p->depth / 16; n; n--) { u32 f = *w++; UP4(S2, 0, 2) } }
void unpack1(const P *p) { const u32 *w = p->weights; s32 *o = p->out; for (int n = p->depth / 32; n; n--) { u32 f = *w++; UP4(S1, 0, 1) UP4(S1, 4, 1) } }
void unpack3(const P *p) { const u32 *w = p->weights; s32 *o = p->out;
  for (int n = p->depth / 32; n; n--, w += 3) { u32 f = w[0], h = w[2];
#define S3(n) *o++ = (s32)(((f >> 2 * (n)) & 0x03030303u) + (((h >> (n)) & 0x01010101u) << 2));
    UP4(S3, 0, 1) f = w[1]; h >>= 4; UP4(S3, 0, 1) } }
/* any other width, densely packed */
void unpack(const P *p) { const u8 *w = (const u8 *)p->weights; u8 *o = (u8 *)p->out; u32 held = 0, bits = p->rows, mask = (1u << bits) - 1; int has = 0;
  for (int n = p->depth; n; n--) { if (has < (int)bits) { held |= (u32)*w++ << has; has += 8; } *o++ = held & mask; held >>= bits; has -= bits; } }
/* levels unpacked: two codes of 4 bits give two levels; else one code, one level */
void look4(const P *p) { const u8 *w = (const u8 *)p->weights; u16 *o = (u16 *)p->out; const u16 *table = (const u16 *)p->table;
  for (int n = p->depth / 2; n; n--) *o++ = table[*w++]; }
void look2(const P *p) { const u8 *w = (const u8 *)p->weights; u32 *o = (u32 *)p->out; const u32 *table = (const u32 *)p->table;
  for (int n = p->depth / 4; n; n--) *o++ = table[*w++]; }
void look(const P *p) { const u8 *w = (const u8 *)p->weights; u8 *o = (u8 *)p->out; const u8 *table = (const u8 *)p->table; u32 held = 0, bits = p->rows, mask = (1u << bits) - 1; int has = 0;
  for (int n = p->depth; n; n--) { if (has < (int)bits) { held |= (u32)*w++ << has; has += 8; } *o++ = table[held & mask]; held >>= bits; has -= bits; } }
/* product quantization: vectors of two weights, 16 of them; a table of their sums with two activations, then reads */
void product_tables(const P *p) { const s32 *x = p->columns, *book = (const s32 *)p->table; s32 *t = p->out;
  for (int n = p->depth / 2; n; n--) { s32 v = *x++; for (int i = 0; i < 16; i++) *t++ = __smlad(*book++, v, 0); } }
void product(const P *p) { s32 *out = p->out; const u32 *w = p->weights; int words = p->depth / 16;
  for (int r = p->rows; r; r--) { const s32 *x = p->columns, *y = p->second; s32 a = 0, b = 0;
    for (int n = words; n; n--) { u32 f = *w++;
#define SUM(n) { u32 i = (f >> (n)) & 15; a += x[i]; b += y[i]; x += 16; y += 16; }
      UP4(SUM, 0, 4) UP4(SUM, 16, 4) }
    *out++ = a; *out++ = b; } }
/* its vectors unpacked: 16 pairs for each pair of columns, one pass for each stage, added */
void look_product(const P *p) { const u8 *w = (const u8 *)p->weights; u16 *o = (u16 *)p->out; const u16 *book = (const u16 *)p->table;
  for (int n = p->depth / 4; n; n--) { u32 f = *w++; *o++ = book[f & 15]; *o++ = book[16 + (f >> 4)]; book += 32; } }
/* grouped codes: bytes times the multiplier of their run of 16 */
void multiply_runs(const P *p) { int8_t *o = (int8_t *)p->out; const u8 *m = (const u8 *)p->table;
  for (int n = p->depth / 16; n; n--) { s32 q = *m++; for (int i = 0; i < 16; i++) *o++ *= q; } }
