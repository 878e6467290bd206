// What the machine can do at most, measured: prints JSON. roofline THREADS
// read: GB/s of a read loop over memory that no cache holds. Multiply-adds: 10^9 per second with 12 sums in registers, of
// 8-bit integers (into 32 bits), of bfloat16 and of f32; null where there is no instruction for it.
#define _GNU_SOURCE
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#if defined(__x86_64__)
#include <immintrin.h>
#elif defined(__aarch64__)
#include <arm_neon.h>
#endif

enum { SUMS = 12, BEST_OF = 5 };
enum { INT8, BF16, F32, READ_ONE, READ_FOUR };
static const size_t BYTES = (size_t)512 << 20;
static const long STEPS = 8 << 20;

typedef uint64_t words __attribute__((vector_size(64)));
#if defined(__AVX512F__)
#define WIDE 64
#define KEEP(value) __asm__ volatile("" : "+v"(value))
#elif defined(__AVX__)
#define WIDE 32
#define KEEP(value) __asm__ volatile("" : "+x"(value))
#elif defined(__x86_64__)
#define WIDE 16
#define KEEP(value) __asm__ volatile("" : "+x"(value))
#else
#define WIDE 16
#define KEEP(value) __asm__ volatile("" : "+w"(value))
#endif
typedef float floats __attribute__((vector_size(WIDE)));

struct job { const char *data; size_t bytes; int which; double work; };
static volatile uint64_t sink;

// From one place on, or from four at once: which of them is faster depends on the processor.
static double read_all(struct job *job) {
  int four = job->which == READ_FOUR;
  size_t n = job->bytes / sizeof(words) / 4, part = four ? n : 1, step = four ? 1 : 4;
  words sums[4] = {0};
  const words *at = (const words *)job->data;
  for (size_t done = 0; done < n; done++, at += step)
    for (int i = 0; i < 4; i++) sums[i] += at[i * part];
  words sum = sums[0] + sums[1] + sums[2] + sums[3];
  for (int i = 0; i < 8; i++) sink += sum[i];
  return job->bytes;
}

// A loop over sums that stay in registers; KEEP stops the compiler from folding its steps.
#define REPEAT(TYPE, ZERO, STEP, WIDTH)                          \
  TYPE sums[SUMS], all = ZERO;                                   \
  _Pragma("GCC unroll 12") for (int i = 0; i < SUMS; i++) sums[i] = ZERO; \
  for (long n = 0; n < STEPS; n++)                               \
    _Pragma("GCC unroll 12") for (int i = 0; i < SUMS; i++) {    \
      STEP;                                                      \
      KEEP(sums[i]);                                             \
    }                                                            \
  _Pragma("GCC unroll 12") for (int i = 0; i < SUMS; i++) all = sums[i]; \
  uint32_t first;                                                \
  memcpy(&first, &all, sizeof first);                            \
  sink += first;                                                 \
  return (double)STEPS * SUMS * (WIDTH)

static double multiply_floats(void) {
  floats a, b;
  for (int i = 0; i < WIDE / 4; i++) a[i] = 1.0f + i * 1e-7f, b[i] = 1e-7f;
  REPEAT(floats, (floats){0}, sums[i] = sums[i] * a + b, WIDE / 4);
}

static double multiply_bytes(void) {
#if defined(__AVX512VNNI__)
  __m512i a = _mm512_set1_epi8(3), b = _mm512_set1_epi8(1);
  REPEAT(__m512i, _mm512_setzero_si512(), sums[i] = _mm512_dpbusd_epi32(sums[i], a, b), 64);
#elif defined(__AVXVNNI__)
  __m256i a = _mm256_set1_epi8(3), b = _mm256_set1_epi8(1);
  REPEAT(__m256i, _mm256_setzero_si256(), sums[i] = _mm256_dpbusd_avx_epi32(sums[i], a, b), 32);
#elif defined(__AVX2__)
  __m256i a = _mm256_set1_epi8(3), b = _mm256_set1_epi8(1), one = _mm256_set1_epi16(1);
  REPEAT(__m256i, _mm256_setzero_si256(),
         KEEP(a); __m256i product = _mm256_maddubs_epi16(a, b);
         sums[i] = _mm256_add_epi32(sums[i], _mm256_madd_epi16(product, one)), 32);
#elif defined(__ARM_FEATURE_DOTPROD)
  int8x16_t a = vdupq_n_s8(3), b = vdupq_n_s8(1);
  REPEAT(int32x4_t, vdupq_n_s32(0), sums[i] = vdotq_s32(sums[i], a, b), 16);
#else
  return 0;
#endif
}

static double multiply_bfloats(void) {
#if defined(__AVX512BF16__)
  __m512bh a = (__m512bh)_mm512_set1_epi16(0x3f80), b = a;
  REPEAT(__m512, _mm512_setzero_ps(), sums[i] = _mm512_dpbf16_ps(sums[i], a, b), 32);
#else
  return 0;
#endif
}

static void *work(void *argument) {
  struct job *job = argument;
  double (*loops[])(void) = {multiply_bytes, multiply_bfloats, multiply_floats};
  job->work = job->which >= READ_ONE ? read_all(job) : loops[job->which]();
  return NULL;
}

static double seconds(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec + now.tv_nsec * 1e-9;
}

// 10^9 per second of all threads together, the best of some runs.
static double rate(int threads, int which, const char *data) {
  double best = 0;
  for (int run = 0; run < BEST_OF; run++) {
    pthread_t ids[threads];
    struct job jobs[threads];
    double start = seconds(), total = 0;
    for (int i = 0; i < threads; i++) {
      size_t part = BYTES / threads / 1024 * 1024;
      jobs[i] = (struct job){data + i * part, part, which, 0};
      if (pthread_create(&ids[i], NULL, work, &jobs[i])) exit(1);
    }
    for (int i = 0; i < threads; i++) pthread_join(ids[i], NULL), total += jobs[i].work;
    double found = total / (seconds() - start) / 1e9;
    if (found > best) best = found;
  }
  return best;
}

static void print(const char *name, double value, const char *after) {
  if (value > 0) printf("\"%s\": %.2f%s", name, value, after);
  else printf("\"%s\": null%s", name, after);
}

int main(int count, char **arguments) {
  int threads = count > 1 ? atoi(arguments[1]) : 1;
  if (threads < 1 || threads > 1024) return fprintf(stderr, "roofline THREADS: threads are 1 to 1024\n"), 2;
  char *data = aligned_alloc((size_t)2 << 20, BYTES);
  if (!data) return perror("roofline"), 1;
  // Large pages, where they are to be had: the memory is measured, not its page tables.
  madvise(data, BYTES, MADV_HUGEPAGE);
  memset(data, 1, BYTES);
  printf("{");
  double one = rate(threads, READ_ONE, data), four = rate(threads, READ_FOUR, data);
  print("read", one > four ? one : four, ", ");
  print("int8", rate(threads, INT8, data), ", ");
  print("bf16", rate(threads, BF16, data), ", ");
  print("f32", rate(threads, F32, data), "}\n");
  free(data);
  return 0;
}
