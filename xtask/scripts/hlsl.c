// Compiles many HLSL files with one of Microsoft's own compilers, in one process, as wgpu's DX12 backend calls them.
//
//   hlsl fxc|dxc FOLDER LIST
//   hlsl version
//
// Each line of LIST begins with a name and an entry point; FOLDER/NAME.hlsl is compiled. The last line of output is
// "compiled COUNT of COUNT, slowest MS NAME", with CPU time. Exit codes: 0 if all compiled, 1 if one did not, 2 if none could be
// tried.
#include <stdio.h>
#include <windows.h>

typedef struct { const void *data; SIZE_T size; UINT encoding; } DxcBuffer;
typedef HRESULT(WINAPI *CreateInstance)(const GUID *, const GUID *, void **);
typedef HRESULT(WINAPI *Compile)(const void *, SIZE_T, const char *, const void *, void *, const char *, const char *, UINT, UINT,
                                 void **, void **);

static const GUID CLSID_COMPILER = {0x73e22d93, 0xe6ce, 0x47f3, {0xb5, 0xbf, 0xf0, 0x66, 0x4f, 0x39, 0xc1, 0xb0}};
static const GUID IID_COMPILER3 = {0x228b4687, 0x5a6a, 0x4730, {0x90, 0x0c, 0x97, 0x02, 0xb2, 0x20, 0x3f, 0x54}};
static const GUID IID_RESULT = {0x58346cda, 0xdde7, 0x4497, {0x94, 0x61, 0x6f, 0x87, 0xaf, 0x5e, 0x06, 0x59}};

enum { NAME = 96, STRICTNESS = 1 << 11 /* D3DCOMPILE_ENABLE_STRICTNESS */, UTF8 = 65001 };
// A compiler that has not ended after so much CPU time counts as hung.
enum { PATIENCE_MS = 180000, SLOW_MS = 5000 };
static char text[1 << 22]; // of the file

// COM objects by the index of a method, so that no header of Microsoft's is needed.
#define METHOD(object, index) ((*(void ***)(object))[index])

static SIZE_T blob_size(void *blob) { return blob ? ((SIZE_T(WINAPI *)(void *))METHOD(blob, 4))(blob) : 0; }
static const char *blob_data(void *blob) { return ((const char *(WINAPI *)(void *))METHOD(blob, 3))(blob); }
static void release(void *object) {
  if (object) ((ULONG(WINAPI *)(void *))METHOD(object, 2))(object);
}

static Compile fxc;
static void *dxc;

static HMODULE library(const char *name) {
  HMODULE found = LoadLibraryA(name);
  if (!found) printf("%s does not load: error %lu\n", name, GetLastError());
  return found;
}

static int load_fxc(void) {
  HMODULE found = library("d3dcompiler_47.dll");
  fxc = found ? (Compile)GetProcAddress(found, "D3DCompile") : NULL;
  return fxc != NULL;
}

static int load_dxc(void) {
  HMODULE found = library("dxcompiler.dll");
  CreateInstance create = found ? (CreateInstance)GetProcAddress(found, "DxcCreateInstance") : NULL;
  return create && SUCCEEDED(create(&CLSID_COMPILER, &IID_COMPILER3, &dxc));
}

typedef struct {
  char name[NAME], entry[NAME], path[3 * NAME];
  int size;        // of the text
  HRESULT status;
  void *code, *messages;
} Job;

static void compile_fxc(Job *job) {
  job->status = fxc(text, job->size, job->path, NULL, NULL, job->entry, "cs_5_1", STRICTNESS, 0, &job->code, &job->messages);
}

static void compile_dxc(Job *job) {
  wchar_t entry[NAME];
  mbstowcs(entry, job->entry, NAME);
  const wchar_t *arguments[] = {L"-E", entry, L"-T", L"cs_6_2", L"-HV", L"2018", L"-no-warnings", L"-Ges", L"-enable-16bit-types"};
  DxcBuffer buffer = {text, job->size, UTF8};
  void *result = NULL;
  typedef HRESULT(WINAPI * Method)(void *, const DxcBuffer *, const wchar_t **, UINT, void *, const GUID *, void **);
  job->status = ((Method)METHOD(dxc, 3))(dxc, &buffer, arguments, sizeof arguments / sizeof *arguments, NULL, &IID_RESULT, &result);
  if (FAILED(job->status)) return;
  ((HRESULT(WINAPI *)(void *, HRESULT *))METHOD(result, 3))(result, &job->status);
  ((HRESULT(WINAPI *)(void *, void **))METHOD(result, 4))(result, &job->code);
  ((HRESULT(WINAPI *)(void *, void **))METHOD(result, 5))(result, &job->messages);
  release(result);
}

// CPU time of this process: the machine may be busy with others.
static int cpu_ms(void) {
  FILETIME begun, ended, kernel, user;
  GetProcessTimes(GetCurrentProcess(), &begun, &ended, &kernel, &user);
  return (int)((((ULONGLONG)user.dwHighDateTime << 32) + user.dwLowDateTime) / 10000);
}

static DWORD WINAPI compile(void *job) {
  fxc ? compile_fxc(job) : compile_dxc(job);
  return 0;
}

static int read_text(Job *job) {
  FILE *file = fopen(job->path, "rb");
  if (!file) return 0;
  job->size = (int)fread(text, 1, sizeof text, file);
  fclose(file);
  return job->size > 0 && job->size < (int)sizeof text;
}

// Whether it compiled; any message of DXC counts as an error, as in wgpu.
static int good(const Job *job) {
  if (FAILED(job->status) || blob_size(job->code) == 0) return 0;
  return fxc || blob_size(job->messages) <= 1;
}

// A compiler's version by its file: "10.0.22621.3233".
static const char *version(const char *library) {
  static char data[1 << 14], said[2][64];
  static int turn = 0;
  VS_FIXEDFILEINFO *found = NULL;
  UINT size = 0;
  char *into = said[turn++ % 2];
  if (!GetFileVersionInfoA(library, 0, sizeof data, data) || !VerQueryValueA(data, "\\", (void **)&found, &size))
    return "of unknown version";
  snprintf(into, sizeof said[0], "%d.%d.%d.%d", HIWORD(found->dwFileVersionMS), LOWORD(found->dwFileVersionMS),
           HIWORD(found->dwFileVersionLS), LOWORD(found->dwFileVersionLS));
  return into;
}

static int compile_all(const char *folder, FILE *list) {
  int all = 0, compiled = 0, slowest_ms = 0;
  char line[3 * NAME], slowest[NAME] = "none";
  while (fgets(line, sizeof line, list)) {
    Job job = {0};
    if (sscanf(line, "%95s %95s", job.name, job.entry) != 2) continue;
    all += 1;
    snprintf(job.path, sizeof job.path, "%s/%s.hlsl", folder, job.name);
    if (!read_text(&job)) {
      printf("%s: cannot be read\n", job.path);
      continue;
    }
    int begun = cpu_ms();
    HANDLE thread = CreateThread(NULL, 16 << 20, compile, &job, 0, NULL);
    while (WaitForSingleObject(thread, 1000) != WAIT_OBJECT_0) {
      if (cpu_ms() - begun < PATIENCE_MS) continue;
      printf("%s: has not ended in %d s of CPU time, the others are not tried\n", job.path, PATIENCE_MS / 1000);
      fflush(stdout);
      ExitProcess(1); // the thread cannot be stopped
    }
    CloseHandle(thread);
    int ms = cpu_ms() - begun;
    if (ms > slowest_ms) slowest_ms = ms, strcpy(slowest, job.name);
    if (ms > SLOW_MS) printf("%s: slow, %d ms\n", job.path, ms);
    compiled += good(&job);
    if (!good(&job))
      printf("%s: status %lx\n%.*s\n", job.path, job.status, (int)blob_size(job.messages),
             blob_size(job.messages) ? blob_data(job.messages) : "");
    fflush(stdout);
    release(job.code), release(job.messages);
  }
  printf("compiled %d of %d, slowest %d %s\n", compiled, all, slowest_ms, slowest);
  return compiled == all && all > 0 ? 0 : 1;
}

int main(int count, char **arguments) {
  if (count == 2 && strcmp(arguments[1], "version") == 0)
    return printf("FXC %s, DXC %s\n", version("d3dcompiler_47.dll"), version("dxcompiler.dll")), 0;
  if (count != 4) return fprintf(stderr, "usage: hlsl fxc|dxc FOLDER LIST, or hlsl version\n"), 2;
  int loaded = strcmp(arguments[1], "fxc") == 0 ? load_fxc() : strcmp(arguments[1], "dxc") == 0 ? load_dxc() : 0;
  FILE *list = loaded ? fopen(arguments[3], "r") : NULL;
  if (!list) return printf("%s: no such compiler, or no list %s\n", arguments[1], arguments[3]), 2;
  return compile_all(arguments[2], list);
}
