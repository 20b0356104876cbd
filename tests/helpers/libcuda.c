/* A fake NVIDIA driver for machines without a GPU: "device" memory is process memory, a stream runs queued work at once,
 * and a graph in recording stores copies and calls for later. As in the real driver, each thread has its own context
 * stack, and a call that needs a context fails without one. It counts unreleased resources. The call named by
 * FAKE_CUDA_FAIL fails with CUDA_ERROR_OUT_OF_MEMORY. Of 8 GiB, a context takes 300 MiB, an allocation its bytes, a graph
 * 64 KiB, and fake_use() adds TensorRT's share. FAKE_CUDA_DEVICES is the number of GPUs (0); FAKE_CUDA_INTEGRATED makes
 * them integrated.
 *
 * Built by the tests: cc -shared -fPIC -Wl,-soname,libcuda.so.1 -o libcuda.so.1 libcuda.c -ldl
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stddef.h>
#include <stdlib.h>
#include <stdint.h>
#include <string.h>

typedef int Status;
typedef struct { void (*function)(void *); void *to; const void *from; size_t count; } Step; /* a copy, or a call */
typedef struct { int steps; Step step[64]; } Graph;

static _Atomic long taken; /* memory, streams, contexts and graphs that nobody gave back */
static _Atomic size_t used; /* device memory */
typedef struct { Graph *recording; } Stream;
static _Thread_local int context_depth; /* of this thread's stack */
static _Atomic int contexts;
static int waits = -1; /* flags of the primary context */

static Status called(const char *name) {
    const char *fail = getenv("FAKE_CUDA_FAIL");
    return fail && !strcmp(fail, name) ? 2 : 0;
}
#define CALL(name) if (called(name)) return 2
#define HERE(name) CALL(name); if (!context_depth) return 201 /* CUDA_ERROR_INVALID_CONTEXT */

long fake_taken(void) { return taken; }
void fake_use(long bytes) { used += bytes; }
int fake_waits(void) { return waits; }

static int devices(void) { const char *count = getenv("FAKE_CUDA_DEVICES"); return count ? atoi(count) : 0; }
static int integrated(void) { return getenv("FAKE_CUDA_INTEGRATED") != NULL; }

Status cuInit(unsigned flags) { CALL("cuInit"); return devices() ? 0 : 100; } /* no CUDA-capable device is detected */
Status cuDriverGetVersion(int *version) { *version = 13000; return 0; }
Status cuDeviceGetCount(int *count) { *count = devices(); return 0; }
Status cuDeviceGet(int *device, int ordinal) { *device = ordinal; return ordinal < devices() ? 0 : 101; }
Status cuDeviceGetName(char *name, int length, int device) { strncpy(name, "Fake GPU", length); return 0; }
Status cuDeviceGetPCIBusId(char *bus, int length, int device) { strncpy(bus, "0000:01:00.0", length); return 0; }
Status cuDeviceTotalMem_v2(size_t *bytes, int device) { *bytes = 8ul << 30; return 0; }
Status cuDeviceGetAttribute(int *value, int attribute, int device) {
    *value = attribute == 75 ? 8 : attribute == 76 ? 7 : attribute == 18 ? integrated() : 0; /* major, minor, integrated */
    return 0;
}
Status cuDeviceComputeCapability(int *major, int *minor, int device) { *major = 8; *minor = 7; return 0; }

Status cuDevicePrimaryCtxRetain(void **context, int device) { CALL("cuDevicePrimaryCtxRetain"); *context = (void *)&taken; taken++; contexts++; return 0; }
Status cuDevicePrimaryCtxSetFlags_v2(int device, unsigned flags) { if (contexts) return 708; waits = flags; return 0; } /* active */
Status cuDevicePrimaryCtxRelease_v2(int device) { taken--; contexts--; return 0; }
Status cuMemGetInfo_v2(size_t *free, size_t *total) {
    CALL("cuMemGetInfo_v2");
    *total = 8ul << 30;
    *free = *total - used - (contexts ? 300ul << 20 : 0);
    return context_depth ? 0 : 201; /* invalid context */
}
Status cuCtxPushCurrent_v2(void *context) { CALL("cuCtxPushCurrent_v2"); context_depth++; taken++; return 0; }
Status cuCtxPopCurrent_v2(void **context) { if (!context_depth) return 201; *context = (void *)&taken; context_depth--; taken--; return 0; }
Status cuCtxGetCurrent(void **context) { *context = context_depth ? (void *)&taken : NULL; return 0; }
Status cuCtxGetDevice(int *device) { *device = 0; return context_depth ? 0 : 201; }
Status cuCtxSynchronize(void) { return 0; }
Status cuCtxAttach(void **context, unsigned flags) { *context = (void *)&taken; return 0; }
Status cuCtxDetach(void *context) { return 0; }
Status cuCtxGetApiVersion(void *context, unsigned *version) { *version = 3020; return 0; }

Status cuStreamCreate(void **stream, unsigned flags) { HERE("cuStreamCreate"); *stream = calloc(1, sizeof(Stream)); taken++; return 0; }
Status cuStreamDestroy_v2(void *stream) { if (!context_depth) return 201; free(stream); taken--; return 0; }
Status cuStreamSynchronize(void *stream) { HERE("cuStreamSynchronize"); return ((Stream *)stream)->recording ? 900 : 0; }

Status cuMemHostAlloc(void **address, size_t count, unsigned flags) {
    HERE("cuMemHostAlloc");
    *address = malloc(count);
    taken++;
    return 0;
}
Status cuMemFreeHost(void *address) { if (!context_depth) return 201; free(address); taken--; return 0; }
Status cuMemHostGetDevicePointer_v2(uint64_t *pointer, void *address, unsigned flags) {
    CALL("cuMemHostGetDevicePointer_v2");
    *pointer = (uint64_t)address;
    return integrated() ? 0 : 801;
}
Status cuMemAlloc_v2(uint64_t *pointer, size_t count) {
    HERE("cuMemAlloc_v2");
    size_t *block = malloc(count + 64);
    *block = count;
    used += count;
    *pointer = (uint64_t)block + 64;
    taken++;
    return 0;
}
Status cuMemFree_v2(uint64_t pointer) {
    if (!context_depth) return 201;
    size_t *block = (size_t *)(pointer - 64);
    used -= *block;
    free(block);
    taken--;
    return 0;
}

static void run(Step step) {
    if (step.function) step.function(step.to);
    else memcpy(step.to, step.from, step.count);
}
static Status queue(void *stream, Step step) {
    Graph *graph = ((Stream *)stream)->recording;
    if (!context_depth) return 201;
    if (graph) graph->step[graph->steps++] = step;
    else run(step);
    return 0;
}
Status cuLaunchHostFunc(void *stream, void (*function)(void *), void *data) {
    return queue(stream, (Step){function, data, NULL, 0});
}
Status cuMemcpyHtoDAsync_v2(uint64_t to, const void *from, size_t count, void *stream) {
    CALL("cuMemcpyHtoDAsync_v2");
    return queue(stream, (Step){NULL, (void *)to, from, count});
}
Status cuMemcpyDtoHAsync_v2(void *to, uint64_t from, size_t count, void *stream) {
    CALL("cuMemcpyDtoHAsync_v2");
    return queue(stream, (Step){NULL, to, (void *)from, count});
}

Status cuStreamBeginCapture_v2(void *stream, int mode) {
    CALL("cuStreamBeginCapture_v2");
    ((Stream *)stream)->recording = calloc(1, sizeof(Graph));
    return 0;
}
Status cuStreamEndCapture(void *stream, void **graph) {
    *graph = ((Stream *)stream)->recording;
    ((Stream *)stream)->recording = NULL;
    taken++;
    CALL("cuStreamEndCapture");
    return 0;
}
Status cuGraphDestroy(void *graph) { free(graph); taken--; return 0; }
Status cuGraphInstantiateWithFlags(void **ready, void *graph, unsigned long long flags) {
    CALL("cuGraphInstantiateWithFlags");
    *ready = malloc(sizeof(Graph));
    memcpy(*ready, graph, sizeof(Graph));
    used += 64 << 10;
    taken++;
    return 0;
}
Status cuGraphExecDestroy(void *ready) { free(ready); used -= 64 << 10; taken--; return 0; }
Status cuGraphLaunch(void *ready, void *stream) {
    HERE("cuGraphLaunch");
    Graph *graph = ready;
    for (int place = 0; place < graph->steps; place++) run(graph->step[place]);
    return 0;
}

Status cuGetErrorName(Status status, const char **name) { 
    *name = status == 2 ? "out of memory" : status == 100 ? "no CUDA-capable device is detected" : "an error";
    return 0;
}
Status cuGetErrorString(Status status, const char **text) { return cuGetErrorName(status, text); }

/* cuda.bindings requests the name and the version separately. */
Status cuGetProcAddress_v2(const char *symbol, void **function, int version, uint64_t flags, int *found) {
    char versioned[128] = "";
    strncat(versioned, symbol, sizeof versioned - 16);
    *function = dlsym(RTLD_DEFAULT, strcat(versioned, !strcmp(symbol, "cuGraphInstantiate") ? "WithFlags" : "_v2"));
    if (!*function) *function = dlsym(RTLD_DEFAULT, symbol);
    if (found) *found = *function ? 0 : 1;
    return *function ? 0 : 500;
}
