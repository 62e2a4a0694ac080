/* Unpacks a file that `tfopt pack` wrote: a .tflite file comes out, bit for bit. docs/packed_files.md has the format.
     cc -O2 -o unpack examples/unpack.c && ./unpack model.tfpk model.tflite
   A damaged file ends the program with a message, and nothing is written. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void need(int holds, const char *why) { if (!holds) fprintf(stderr, "unpack: %s\n", why), exit(1); }
static uint32_t u16(const uint8_t *p) { return p[0] | p[1] << 8; }
static uint32_t u32(const uint8_t *p) { return u16(p) | u16(p + 2) << 16; }
static uint8_t *get(size_t size) { uint8_t *p = calloc(size + 1, 1); need(p != NULL, "out of memory"); return p; }

/* The description: DEFLATE, RFC 1951. */
static struct { const uint8_t *in, *end; uint8_t *out; size_t done, size; uint32_t hold; int held; } z;
typedef struct { uint16_t count[16], symbol[288]; } Code;

static void put(uint8_t byte) { need(z.done < z.size, "the description is too long"); z.out[z.done++] = byte; }
static uint32_t bits(int count) {
  for (; z.held < count; z.held += 8) {
    need(z.in < z.end, "the description ends early");
    z.hold |= (uint32_t)*z.in++ << z.held;
  }
  uint32_t found = z.hold & ((1u << count) - 1);
  z.hold >>= count, z.held -= count;
  return found;
}
static void build(Code *code, const uint8_t *lengths, int symbols) {
  uint16_t place[17] = {0};
  memset(code, 0, sizeof *code);
  for (int i = 0; i < symbols; i++) code->count[lengths[i]]++;
  code->count[0] = 0;
  for (int i = 1; i < 16; i++) place[i + 1] = place[i] + code->count[i];
  for (int i = 0; i < symbols; i++) if (lengths[i]) code->symbol[place[lengths[i]]++] = i;
}
static int word(const Code *code) {
  int value = 0, first = 0, index = 0;
  for (int length = 1; length < 16; length++, value <<= 1) {
    value |= bits(1);
    if (value - first < code->count[length]) return code->symbol[index + value - first];
    index += code->count[length];
    first = (first + code->count[length]) << 1;
  }
  need(0, "the description holds no word of its code");
  return 0;
}
static void copies(const Code *lengths, const Code *distances) {
  for (int next; (next = word(lengths)) != 256;) {
    if (next < 256) { put(next); continue; }
    int extra = next < 265 || next == 285 ? 0 : (next - 261) / 4, far;
    int length = next < 265 ? next - 254 : next == 285 ? 258 : ((4 + ((next - 265) & 3)) << extra) + 3;
    length += bits(extra), far = word(distances);
    need(next < 286 && far < 30, "the description holds a wrong copy");
    extra = far < 4 ? 0 : far / 2 - 1;
    size_t distance = (far < 4 ? far : (2 + (far & 1)) << extra) + 1 + bits(extra);
    need(distance <= z.done, "the description points before its begin");
    while (length--) put(z.out[z.done - distance]);
  }
}
static void tables(Code *lengths, Code *distances, int fixed) {
  static const uint8_t order[20] = "\20\21\22\0\10\7\11\6\12\5\13\4\14\3\15\2\16\1\17";
  uint8_t found[320] = {0};
  int near = fixed ? 288 : bits(5) + 257, far = fixed ? 30 : bits(5) + 1, codes = fixed ? 0 : bits(4) + 4;
  for (int i = 0; i < codes; i++) found[order[i]] = bits(3);
  build(lengths, found, 19);
  for (int at = 0; at < near + far;) {
    int one = fixed ? (at < 144 ? 8 : at < 256 ? 9 : at < 280 ? 7 : at < 288 ? 8 : 5) : word(lengths);
    int repeat = one < 16 ? 1 : one == 16 ? 3 + bits(2) : one == 17 ? 3 + bits(3) : 11 + bits(7);
    need(at + repeat <= near + far && (one != 16 || at), "the description has too many lengths");
    for (int value = one < 16 ? one : one == 16 ? found[at - 1] : 0; repeat--;) found[at++] = value;
  }
  build(lengths, found, near);
  build(distances, found + near, far);
}
static void inflate(const uint8_t *in, size_t length, uint8_t *out, size_t size) {
  static Code lengths, distances;
  z.in = in, z.end = in + length, z.out = out, z.size = size;
  for (int last = 0; !last;) {
    last = bits(1);
    int kind = bits(2);
    need(kind < 3, "the description is damaged");
    if (kind) { tables(&lengths, &distances, kind == 1), copies(&lengths, &distances); continue; }
    z.hold = z.held = 0;
    need(z.end - z.in >= 4 && z.end - z.in - 4 >= (long)u16(z.in), "the description ends early");
    for (size_t count = u16(z.in), i = (z.in += 4, 0); i < count; i++) put(*z.in++);
  }
}

/* A stream: rANS, a state of 32 bits for each block of it. */
static uint8_t symbol[4096];
static uint32_t share[256], begin[256];

static void read_table(const uint8_t *table) {
  uint32_t sum = 0;
  for (int i = 0; i < 256; sum += share[i++]) {
    begin[i] = sum, share[i] = table[i] | table[256 + i] << 8;
    need(sum + share[i] <= 4096, "the shares of a stream do not add up");
    memset(symbol + sum, i, share[i]);
  }
}
static void read_block(const uint8_t *words, const uint8_t *end, uint8_t *out, size_t count, size_t stride) {
  need(end - words >= 4, "a block is shorter than its state");
  uint32_t state = u32(words);
  for (words += 4; count--; out += stride) {
    uint8_t found = *out = symbol[state & 4095];
    state = share[found] * (state >> 12) + (state & 4095) - begin[found];
    if (state >= 65536) continue;
    need(end - words >= 2, "a block ends early");
    state = state << 16 | u16(words), words += 2;
  }
  need(words == end && state == 65536, "a block does not end where its bytes do");
}
int main(int argc, char **argv) {
  FILE *file = argc == 3 ? fopen(argv[1], "rb") : NULL;
  need(file && !fseek(file, 0, SEEK_END), "usage: unpack FILE.tfpk FILE.tflite");
  size_t length = ftell(file), at = 0, sum = 0;
  uint8_t *packed = get(length);
  rewind(file);
  need(fread(packed, 1, length, file) == length && length >= 24, "the file cannot be read");
  need(!memcmp(packed, "TFPK\1", 5) && packed[5] <= 16, "the file is none that tfopt pack wrote");
  size_t block = (size_t)1 << packed[5], streams = u16(packed + 6), size = u32(packed + 8), rest = 521 * streams;
  size_t described = u32(packed + 16), deflated = u32(packed + 20);
  need(size < 1 << 28 && described - rest <= 3 * size && rest <= described && deflated <= length - 24, "a damaged head");
  uint8_t *text = get(described), *out = get(size), *coded = get(size), *row = text;
  inflate(packed + 24, deflated, text, described);
  const uint8_t *words = packed + 24 + deflated, *end = packed + length;
  for (; streams--; row += 521) {
    size_t first = u32(row), count = u32(row + 4), stride = row[8], now;
    need(count && stride && (sum += count) <= size, "the streams are longer than the file");
    need(first + (uint64_t)(count - 1) * stride < size, "a stream lies outside the file");
    read_table(row + 9);
    for (size_t i = 0; i < count; i++) coded[first + i * stride] = 1;
    for (; count; count -= now, first += now * stride, rest += 2) {
      now = count < block ? count : block;
      need(rest + 2 <= described && end - words >= 2 * (long)u16(text + rest), "a block ends early");
      read_block(words, words + 2 * u16(text + rest), out + first, now, stride);
      words += 2 * u16(text + rest);
    }
  }
  uint32_t crc = ~0u;
  for (need(words == end, "the blocks are too long"); at < size; at++) {
    if (!coded[at]) need(rest < described, "the description ends early"), out[at] = text[rest++];
    crc ^= out[at];
    for (int i = 0; i < 8; i++) crc = crc >> 1 ^ (0xEDB88320u & -(crc & 1));
  }
  need(rest == described && ~crc == u32(packed + 12), "the content does not have its checksum");
  need((file = fopen(argv[2], "wb")) && fwrite(out, 1, size, file) == size && !fclose(file), "it cannot be written");
  return 0;
}
