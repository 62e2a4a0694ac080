// Runs the C array of a model on TFLite Micro: codes of inputs from stdin, codes of outputs to stdout.
//
// On a board, keep Network and feed it from a sensor: the rest is only here to try it on a desktop. The array, its header
// and the operators in it are what tfopt.conversion.write_c_array writes.

#include <cstdint>
#include <cstdio>

#include "digits.h"
#include "tensorflow/lite/micro/micro_interpreter.h"
#include "tensorflow/lite/micro/micro_mutable_op_resolver.h"
#include "tensorflow/lite/micro/system_setup.h"
#include "tensorflow/lite/schema/schema_generated.h"

#ifndef ARENA_BYTES
#define ARENA_BYTES 4096  // tfopt.runtimes.TFLiteMicro("digits.tflite").arena.total, and some room
#endif

namespace {

using Resolver = tflite::MicroMutableOpResolver<DIGITS_TFLITE_OPERATORS>;

alignas(16) uint8_t arena[ARENA_BYTES];

class Network {
 public:
  Network() : interpreter_(tflite::GetModel(digits_tflite), resolver_, arena, sizeof(arena)) {}

  // Call once. False if an operator is missing or the arena is too small; the log says which.
  bool Start() {
    return DIGITS_TFLITE_ADD_OPERATORS(resolver_) && interpreter_.AllocateTensors() == kTfLiteOk;
  }

  bool Run() { return interpreter_.Invoke() == kTfLiteOk; }

  // Codes are int8: value = (code - params.zero_point) * params.scale.
  TfLiteTensor* input() { return interpreter_.input(0); }
  TfLiteTensor* output() { return interpreter_.output(0); }
  size_t arena_used() const { return interpreter_.arena_used_bytes(); }

 private:
  Resolver resolver_;
  tflite::MicroInterpreter interpreter_;
};

}  // namespace

int main() {
  tflite::InitializeTarget();
  static Network network;
  if (!network.Start()) return 1;
  std::fprintf(stderr, "arena: %zu of %zu bytes\n", network.arena_used(), sizeof(arena));

  TfLiteTensor* input = network.input();
  TfLiteTensor* output = network.output();
  while (std::fread(input->data.raw, 1, input->bytes, stdin) == input->bytes) {
    if (!network.Run()) return 2;
    std::fwrite(output->data.raw, 1, output->bytes, stdout);
  }
  return 0;
}
