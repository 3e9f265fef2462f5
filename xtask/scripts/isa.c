// Compiles SPIR-V compute shaders with Mesa's RADV for an AMD card, without having one, and reports the instructions.
//
//   RADV_FORCE_FAMILY=navi21 isa [--asm DIR] FILE.spv...
//   RADV_FORCE_FAMILY=navi21 isa --driver
//
// The second prints the driver's version.
// A device is made with the features that wgpu 30 turns on (robustBufferAccess2 and the like), each shader becomes a
// pipeline, and a line of JSON reports it: the driver's own statistics, and counts of the instructions in its assembly, for
// the whole shader and for each basic block with the loops that it lies in. --asm keeps the assembly as DIR/NAME.FAMILY.s.
// A file NAME@N,...spv has uniform buffers at dynamic offsets at the bindings N.
//
// The descriptor set layouts are derived from the SPIR-V: uniform and storage buffers, in up to 8 sets. Nothing runs.
#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <vulkan/vulkan.h>

static void fail(const char *format, ...) {
    va_list list;
    va_start(list, format);
    fputs("isa: ", stderr);
    vfprintf(stderr, format, list);
    fputc('\n', stderr);
    va_end(list);
    exit(1);
}

static void *room(size_t bytes) {
    void *memory = calloc(1, bytes ? bytes : 1);
    if (!memory) fail("out of memory");
    return memory;
}

#define CHECK(call) do { VkResult result_ = (call); if (result_) fail("%s: VkResult %d", #call, result_); } while (0)

// ---------------------------------------------------------------------------------------------------- SPIR-V

enum { MOST_BINDINGS = 64, MOST_SETS = 8 };

struct binding { uint32_t set, binding; bool storage; };

struct module {
    uint32_t *words;
    size_t count;
    char entry[256];
    uint32_t workgroup[3];
    struct binding bindings[MOST_BINDINGS];
    size_t binding_count;
    bool push_constants;
};

struct id { uint32_t set, binding, pointee; bool has_set, has_binding, block, buffer_block; };

static uint32_t *read_file(const char *path, size_t *words) {
    FILE *file = fopen(path, "rb");
    if (!file) fail("%s: %s", path, strerror(errno));
    fseek(file, 0, SEEK_END);
    long size = ftell(file);
    rewind(file);
    uint32_t *all = room(size > 0 ? (size_t)size : 0);
    if (size < 20 || size % 4 || fread(all, 1, (size_t)size, file) != (size_t)size || all[0] != 0x07230203u)
        fail("%s: not SPIR-V", path);
    fclose(file);
    *words = (size_t)size / 4;
    return all;
}

// Reads the first compute entry point, its bindings and its workgroup.
static void parse(const char *path, struct module *m) {
    memset(m, 0, sizeof *m);
    m->words = read_file(path, &m->count);
    uint32_t bound = m->words[3];
    struct id *ids = room(bound * sizeof *ids);
    uint32_t entry = 0;
#define ID(i) (ids + ((i) < bound ? (i) : 0))
    for (size_t at = 5; at < m->count;) {
        const uint32_t *w = m->words + at;
        uint32_t op = w[0] & 0xffff, length = w[0] >> 16;
        if (!length || at + length > m->count) fail("%s: broken at word %zu", path, at);
        switch (op) {
        case 15: // OpEntryPoint: model, function, name
            if (w[1] == 5 && !entry) {
                entry = w[2];
                snprintf(m->entry, sizeof m->entry, "%.*s", (int)((length - 3) * 4), (const char *)(w + 3));
            }
            break;
        case 16: // OpExecutionMode: LocalSize
            if (w[1] == entry && w[2] == 17) memcpy(m->workgroup, w + 3, 12);
            break;
        case 71: // OpDecorate
            if (w[2] == 2) ID(w[1])->block = true;
            if (w[2] == 3) ID(w[1])->buffer_block = true;
            if (w[2] == 33) ID(w[1])->binding = w[3], ID(w[1])->has_binding = true;
            if (w[2] == 34) ID(w[1])->set = w[3], ID(w[1])->has_set = true;
            break;
        case 32: // OpTypePointer: result, storage class, type
            ID(w[1])->pointee = w[3];
            break;
        case 59: { // OpVariable: type, result, storage class
            struct id *v = ID(w[2]);
            if (w[3] == 9) m->push_constants = true;
            if (!v->has_binding) break;
            if (w[3] != 2 && w[3] != 12) fail("%s: binding %u is no buffer", path, v->binding);
            if (m->binding_count == MOST_BINDINGS || v->set >= MOST_SETS) fail("%s: too many bindings", path);
            struct id *type = ID(ID(w[1])->pointee);
            m->bindings[m->binding_count++] = (struct binding){v->set, v->binding, w[3] == 12 || type->buffer_block};
            break;
        }
        }
        at += length;
    }
#undef ID
    free(ids);
    if (!entry) fail("%s: no compute entry point", path);
}

// ---------------------------------------------------------------------------------------------------- device

static VkDevice device;
static VkPhysicalDeviceProperties properties;
static VkPhysicalDeviceDriverProperties driver = {VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_DRIVER_PROPERTIES};
static PFN_vkGetPipelineExecutablePropertiesKHR get_executables;
static PFN_vkGetPipelineExecutableStatisticsKHR get_statistics;
static PFN_vkGetPipelineExecutableInternalRepresentationsKHR get_representations;

static void open_device(void) {
    VkApplicationInfo app = {VK_STRUCTURE_TYPE_APPLICATION_INFO, .pApplicationName = "isa", .apiVersion = VK_API_VERSION_1_3};
    VkInstanceCreateInfo instance_info = {VK_STRUCTURE_TYPE_INSTANCE_CREATE_INFO, .pApplicationInfo = &app};
    VkInstance instance;
    CHECK(vkCreateInstance(&instance_info, NULL, &instance));
    VkPhysicalDevice found[16];
    uint32_t count = 16;
    CHECK(vkEnumeratePhysicalDevices(instance, &count, found));
    if (!count) fail("no Vulkan device: is RADV_FORCE_FAMILY a family that this Mesa knows?");
    VkPhysicalDevice chosen = found[0];
    VkPhysicalDeviceProperties2 both = {VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_PROPERTIES_2, .pNext = &driver};
    vkGetPhysicalDeviceProperties2(chosen, &both);
    properties = both.properties;

    // What wgpu-hal asks for where the device has it, as far as it bears on compute shaders.
    VkPhysicalDevicePipelineExecutablePropertiesFeaturesKHR executable = {VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_PIPELINE_EXECUTABLE_PROPERTIES_FEATURES_KHR, .pNext = NULL};
    VkPhysicalDeviceRobustness2FeaturesEXT robust = {VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_ROBUSTNESS_2_FEATURES_EXT, .pNext = &executable};
    VkPhysicalDeviceVulkan13Features v13 = {VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_3_FEATURES, .pNext = &robust};
    VkPhysicalDeviceVulkan12Features v12 = {VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_2_FEATURES, .pNext = &v13};
    VkPhysicalDeviceVulkan11Features v11 = {VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_1_FEATURES, .pNext = &v12};
    VkPhysicalDeviceFeatures2 has = {VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_FEATURES_2, .pNext = &v11};
    vkGetPhysicalDeviceFeatures2(chosen, &has);
    if (!executable.pipelineExecutableInfo) fail("%s: no VK_KHR_pipeline_executable_properties", properties.deviceName);
    robust.nullDescriptor = VK_FALSE;
    v12.bufferDeviceAddressCaptureReplay = VK_FALSE;
    VkPhysicalDeviceFeatures only = {.robustBufferAccess = has.features.robustBufferAccess, .shaderInt64 = has.features.shaderInt64,
                                     .shaderInt16 = has.features.shaderInt16, .shaderFloat64 = has.features.shaderFloat64};
    has.features = only;

    const char *extensions[] = {"VK_KHR_pipeline_executable_properties", "VK_EXT_robustness2"};
    float priority = 1;
    VkDeviceQueueCreateInfo queue = {VK_STRUCTURE_TYPE_DEVICE_QUEUE_CREATE_INFO, .queueCount = 1, .pQueuePriorities = &priority};
    VkDeviceCreateInfo info = {VK_STRUCTURE_TYPE_DEVICE_CREATE_INFO, .pNext = &has, .queueCreateInfoCount = 1, .pQueueCreateInfos = &queue,
                               .enabledExtensionCount = 2, .ppEnabledExtensionNames = extensions};
    CHECK(vkCreateDevice(chosen, &info, NULL, &device));
    get_executables = (PFN_vkGetPipelineExecutablePropertiesKHR)vkGetDeviceProcAddr(device, "vkGetPipelineExecutablePropertiesKHR");
    get_statistics = (PFN_vkGetPipelineExecutableStatisticsKHR)vkGetDeviceProcAddr(device, "vkGetPipelineExecutableStatisticsKHR");
    get_representations = (PFN_vkGetPipelineExecutableInternalRepresentationsKHR)vkGetDeviceProcAddr(device, "vkGetPipelineExecutableInternalRepresentationsKHR");
    if (!get_executables || !get_statistics || !get_representations) fail("%s: functions are missing", properties.deviceName);
}

struct built { VkPipeline pipeline; VkPipelineLayout layout; VkDescriptorSetLayout sets[MOST_SETS]; uint32_t set_count; VkShaderModule module; };

static struct built build(const struct module *m, const bool dynamic[MOST_BINDINGS]) {
    struct built b = {0};
    for (size_t i = 0; i < m->binding_count; i++)
        if (m->bindings[i].set + 1 > b.set_count) b.set_count = m->bindings[i].set + 1;
    for (uint32_t set = 0; set < b.set_count; set++) {
        VkDescriptorSetLayoutBinding entries[MOST_BINDINGS];
        uint32_t count = 0;
        for (size_t i = 0; i < m->binding_count; i++) {
            struct binding it = m->bindings[i];
            if (it.set != set) continue;
            bool moves = it.binding < MOST_BINDINGS && dynamic[it.binding] && !it.storage;
            entries[count++] = (VkDescriptorSetLayoutBinding){
                it.binding,
                it.storage ? VK_DESCRIPTOR_TYPE_STORAGE_BUFFER : moves ? VK_DESCRIPTOR_TYPE_UNIFORM_BUFFER_DYNAMIC : VK_DESCRIPTOR_TYPE_UNIFORM_BUFFER,
                1, VK_SHADER_STAGE_COMPUTE_BIT, NULL};
        }
        VkDescriptorSetLayoutCreateInfo info = {VK_STRUCTURE_TYPE_DESCRIPTOR_SET_LAYOUT_CREATE_INFO, .bindingCount = count, .pBindings = entries};
        CHECK(vkCreateDescriptorSetLayout(device, &info, NULL, &b.sets[set]));
    }
    VkPushConstantRange push = {VK_SHADER_STAGE_COMPUTE_BIT, 0, 128};
    VkPipelineLayoutCreateInfo layout = {VK_STRUCTURE_TYPE_PIPELINE_LAYOUT_CREATE_INFO, .setLayoutCount = b.set_count, .pSetLayouts = b.sets,
                                         .pushConstantRangeCount = m->push_constants, .pPushConstantRanges = &push};
    CHECK(vkCreatePipelineLayout(device, &layout, NULL, &b.layout));
    VkShaderModuleCreateInfo code = {VK_STRUCTURE_TYPE_SHADER_MODULE_CREATE_INFO, .codeSize = m->count * 4, .pCode = m->words};
    CHECK(vkCreateShaderModule(device, &code, NULL, &b.module));
    VkComputePipelineCreateInfo info = {
        VK_STRUCTURE_TYPE_COMPUTE_PIPELINE_CREATE_INFO,
        .flags = VK_PIPELINE_CREATE_CAPTURE_STATISTICS_BIT_KHR | VK_PIPELINE_CREATE_CAPTURE_INTERNAL_REPRESENTATIONS_BIT_KHR,
        .stage = {VK_STRUCTURE_TYPE_PIPELINE_SHADER_STAGE_CREATE_INFO, .stage = VK_SHADER_STAGE_COMPUTE_BIT, .module = b.module, .pName = m->entry},
        .layout = b.layout};
    CHECK(vkCreateComputePipelines(device, VK_NULL_HANDLE, 1, &info, NULL, &b.pipeline));
    return b;
}

static void drop(struct built *b) {
    vkDestroyPipeline(device, b->pipeline, NULL);
    vkDestroyShaderModule(device, b->module, NULL);
    vkDestroyPipelineLayout(device, b->layout, NULL);
    for (uint32_t i = 0; i < b->set_count; i++) vkDestroyDescriptorSetLayout(device, b->sets[i], NULL);
}

// ---------------------------------------------------------------------------------------------------- assembly

// Kinds of instructions. Their costs are left to the reader of the counts.
enum kind {
    FP_FMA, FP_ADD_MUL, FP_OTHER, TRANSCENDENTAL, CONVERT, INT_ADD, INT_LOGIC, INT_SHIFT, INT_MUL, INT_WIDE, INT_64, SELECT_COMPARE, MOVE, LANE, PACKED, DOUBLE, VALU_OTHER,
    SALU, SCALAR_LOAD, LOAD_1, LOAD_2, LOAD_3, LOAD_4, LOAD_SHORT, STORE_1, STORE_2, STORE_3, STORE_4, STORE_SHORT, ATOMIC, SCRATCH, LDS, WAIT, BRANCH, BARRIER, NOP, KINDS
};
static const char *const NAMES[KINDS] = {
    "fp_fma", "fp_add_mul", "fp_other", "transcendental", "convert", "int_add", "int_logic", "int_shift", "int_mul", "int_wide", "int_64", "select_compare", "move", "lane", "packed", "double", "valu_other",
    "salu", "scalar_load", "load_dword", "load_dwordx2", "load_dwordx3", "load_dwordx4", "load_short", "store_dword", "store_dwordx2", "store_dwordx3", "store_dwordx4", "store_short", "atomic", "scratch", "lds", "waitcnt", "branch", "barrier", "nop"};

static bool starts(const char *text, const char *with) { return !strncmp(text, with, strlen(with)); }
static bool has(const char *text, const char *part) { return strstr(text, part) != NULL; }

// Both spellings of a width: dwordx4 before GFX11, b128 from there on.
static int width_of(const char *op) {
    if (has(op, "dwordx4") || has(op, "b128") || has(op, "xyzw")) return 4;
    if (has(op, "dwordx3") || has(op, "b96") || has(op, "xyz")) return 3;
    if (has(op, "dwordx2") || has(op, "b64") || has(op, "xy")) return 2;
    if (has(op, "short") || has(op, "byte") || has(op, "_u16") || has(op, "_b16") || has(op, "_u8") || has(op, "_b8") || has(op, "_i8") || has(op, "_i16")) return 0;
    return 1;
}

static enum kind vector_kind(const char *op) {
    const char *o = op + 2;
    if (starts(o, "pk_")) return PACKED;
    if (starts(o, "dual_")) return VALU_OTHER;
    if (has(o, "_f64") && !starts(o, "cvt")) return DOUBLE;
    if (starts(o, "rcp") || starts(o, "rsq") || starts(o, "sqrt") || starts(o, "exp_f") || starts(o, "log_f") || starts(o, "sin") || starts(o, "cos")) return TRANSCENDENTAL;
    if (starts(o, "cvt")) return CONVERT;
    if (starts(o, "cmp") || starts(o, "cndmask")) return SELECT_COMPARE;
    if (starts(o, "mad_u64_u32") || starts(o, "mad_i64_i32")) return INT_WIDE;
    if (starts(o, "mul_lo_u32") || starts(o, "mul_hi_u32") || starts(o, "mul_hi_i32") || starts(o, "mul_lo_i32")) return INT_MUL;
    if (has(o, "_b64") || has(o, "_u64") || has(o, "_i64")) return INT_64;
    if (starts(o, "mov_b32") || starts(o, "accvgpr")) return MOVE;
    if (starts(o, "readfirstlane") || starts(o, "readlane") || starts(o, "writelane") || starts(o, "permlane") || starts(o, "mbcnt")) return LANE;
    if (starts(o, "fma") || starts(o, "mad_f") || starts(o, "mac_f") || starts(o, "madak") || starts(o, "madmk")) return FP_FMA;
    if (has(o, "_f32") || has(o, "_f16")) {
        if (starts(o, "add") || starts(o, "sub") || starts(o, "mul")) return FP_ADD_MUL;
        return FP_OTHER; // min, max, med3, floor, ldexp ...
    }
    if (starts(o, "lshl_add") || starts(o, "add_lshl") || starts(o, "xad") || starts(o, "add") || starts(o, "sub") || starts(o, "mad_u32") || starts(o, "mad_i32") || starts(o, "mad_u") || starts(o, "min_") || starts(o, "max_") || starts(o, "min3") || starts(o, "max3") || starts(o, "med3") || starts(o, "mul_u32_u24") || starts(o, "mul_i32_i24")) return INT_ADD;
    if (starts(o, "and") || starts(o, "or") || starts(o, "xor") || starts(o, "not") || starts(o, "bfi") || starts(o, "xnor") || starts(o, "xor3") || starts(o, "lshl_or")) return INT_LOGIC;
    if (starts(o, "lshl") || starts(o, "lshr") || starts(o, "ashr") || starts(o, "bfe") || starts(o, "alignb") || starts(o, "perm") || starts(o, "bfrev")) return INT_SHIFT;
    return VALU_OTHER;
}

static enum kind kind_of(const char *op) {
    if (starts(op, "s_")) {
        if (starts(op, "s_waitcnt") || starts(op, "s_wait_") || starts(op, "s_delay")) return starts(op, "s_delay") ? NOP : WAIT;
        if (starts(op, "s_cbranch") || starts(op, "s_branch") || starts(op, "s_endpgm") || starts(op, "s_setpc")) return BRANCH;
        if (starts(op, "s_barrier")) return BARRIER;
        if (starts(op, "s_nop") || starts(op, "s_clause") || starts(op, "s_inst_prefetch") || starts(op, "s_set_inst_prefetch") || starts(op, "s_code_end") || starts(op, "s_sendmsg")) return NOP;
        if (has(op, "load")) return SCALAR_LOAD;
        return SALU;
    }
    if (starts(op, "ds_")) return LDS;
    if (starts(op, "scratch_")) return SCRATCH;
    if (starts(op, "buffer_") || starts(op, "global_") || starts(op, "flat_") || starts(op, "tbuffer_")) {
        if (has(op, "atomic")) return ATOMIC;
        if (has(op, "load")) return (enum kind[]){LOAD_SHORT, LOAD_1, LOAD_2, LOAD_3, LOAD_4}[width_of(op)];
        if (has(op, "store")) return (enum kind[]){STORE_SHORT, STORE_1, STORE_2, STORE_3, STORE_4}[width_of(op)];
        return NOP; // cache control
    }
    if (starts(op, "v_nop")) return NOP;
    if (starts(op, "v_")) return vector_kind(op);
    return NOP;
}

enum { MOST_BLOCKS = 4096 };
struct block { char label[24]; uint32_t kinds[KINDS]; int targets[8]; int target_count; bool falls; int loop; int depth; };

// Blocks of the assembly, and the innermost loop of each: a branch back makes a loop of all that lies between.
static int blocks_of(const char *text, struct block *blocks) {
    static char targets[MOST_BLOCKS][8][24];
    int count = 0;
    blocks[count++] = (struct block){.label = "entry", .falls = true};
    for (const char *line = text; *line;) {
        const char *end = strchr(line, '\n');
        size_t length = end ? (size_t)(end - line) : strlen(line);
        char buffer[512];
        snprintf(buffer, sizeof buffer, "%.*s", (int)length, line);
        line += length + (end != NULL);
        char *comment = strchr(buffer, ';');
        if (comment) *comment = 0;
        char *word = buffer + strspn(buffer, " \t");
        size_t n = strcspn(word, " \t:");
        if (!n) continue;
        if (word[n] == ':') {
            if (starts(word, "BB") || starts(word, "L")) {
                if (count == MOST_BLOCKS) fail("too many blocks");
                blocks[count] = (struct block){.falls = true};
                snprintf(blocks[count++].label, 24, "%.*s", (int)(n < 23 ? n : 23), word);
            }
            continue;
        }
        if (!islower((unsigned char)*word)) continue;
        word[n] = 0;
        struct block *b = &blocks[count - 1];
        enum kind kind = kind_of(word);
        b->kinds[kind]++;
        if (kind == BRANCH) {
            char *to = word + n + 1;
            to += strspn(to, " \t");
            to[strcspn(to, " \t")] = 0;
            if (b->target_count < 8 && (starts(to, "BB") || starts(to, "L"))) snprintf(targets[count - 1][b->target_count++], 24, "%s", to);
            b->falls = starts(word, "s_cbranch");
        }
    }
    for (int i = 0; i < count; i++) {
        blocks[i].loop = -1;
        for (int t = 0; t < blocks[i].target_count; t++) {
            blocks[i].targets[t] = -1;
            for (int j = 0; j < count; j++)
                if (!strcmp(blocks[j].label, targets[i][t])) blocks[i].targets[t] = j;
        }
    }
    // The last branch back to each head ends its loop; a loop inside is found later and overrides it.
    for (int head = 0; head < count; head++) {
        int last = -1;
        for (int i = head; i < count; i++)
            for (int t = 0; t < blocks[i].target_count; t++)
                if (blocks[i].targets[t] == head) last = i;
        for (int i = head; i <= last; i++) blocks[i].loop = head, blocks[i].depth++;
    }
    return count;
}

// ---------------------------------------------------------------------------------------------------- output

static void print_text(const char *text) {
    putchar('"');
    for (; *text; text++)
        if (*text == '"' || *text == '\\') printf("\\%c", *text);
        else if ((unsigned char)*text < 32) printf("\\u%04x", *text);
        else putchar(*text);
    putchar('"');
}

static void print_kinds(const uint32_t kinds[KINDS]) {
    putchar('{');
    const char *comma = "";
    for (int k = 0; k < KINDS; k++)
        if (kinds[k]) printf("%s\"%s\":%u", comma, NAMES[k], kinds[k]), comma = ",";
    putchar('}');
}

static char *assembly(VkPipeline pipeline) {
    VkPipelineExecutableInfoKHR which = {VK_STRUCTURE_TYPE_PIPELINE_EXECUTABLE_INFO_KHR, .pipeline = pipeline};
    uint32_t count = 0;
    CHECK(get_representations(device, &which, &count, NULL));
    VkPipelineExecutableInternalRepresentationKHR *all = room(count * sizeof *all);
    for (uint32_t i = 0; i < count; i++) all[i].sType = VK_STRUCTURE_TYPE_PIPELINE_EXECUTABLE_INTERNAL_REPRESENTATION_KHR;
    CHECK(get_representations(device, &which, &count, all));
    for (uint32_t i = 0; i < count; i++) all[i].pData = room(all[i].dataSize + 1);
    CHECK(get_representations(device, &which, &count, all));
    char *found = NULL;
    for (uint32_t i = 0; i < count; i++) {
        if (starts(all[i].name, "Assembly")) found = all[i].pData;
        else free(all[i].pData);
    }
    free(all);
    return found ? found : room(1);
}

static void print_statistics(VkPipeline pipeline) {
    VkPipelineExecutableInfoKHR which = {VK_STRUCTURE_TYPE_PIPELINE_EXECUTABLE_INFO_KHR, .pipeline = pipeline};
    uint32_t count = 0;
    CHECK(get_statistics(device, &which, &count, NULL));
    VkPipelineExecutableStatisticKHR *all = room(count * sizeof *all);
    for (uint32_t i = 0; i < count; i++) all[i].sType = VK_STRUCTURE_TYPE_PIPELINE_EXECUTABLE_STATISTIC_KHR;
    CHECK(get_statistics(device, &which, &count, all));
    putchar('{');
    for (uint32_t i = 0; i < count; i++) {
        if (i) putchar(',');
        print_text(all[i].name);
        putchar(':');
        switch (all[i].format) {
        case VK_PIPELINE_EXECUTABLE_STATISTIC_FORMAT_BOOL32_KHR: fputs(all[i].value.b32 ? "true" : "false", stdout); break;
        case VK_PIPELINE_EXECUTABLE_STATISTIC_FORMAT_INT64_KHR: printf("%lld", (long long)all[i].value.i64); break;
        case VK_PIPELINE_EXECUTABLE_STATISTIC_FORMAT_UINT64_KHR: printf("%llu", (unsigned long long)all[i].value.u64); break;
        default: printf("%g", all[i].value.f64);
        }
    }
    putchar('}');
    free(all);
}

static void report(const char *path, const char *folder) {
    static struct block blocks[MOST_BLOCKS];
    struct module m;
    parse(path, &m);
    const char *slash = strrchr(path, '/');
    char name[512];
    snprintf(name, sizeof name, "%s", slash ? slash + 1 : path);
    char *dot = strrchr(name, '.');
    if (dot) *dot = 0;
    bool dynamic[MOST_BINDINGS] = {0};
    char *at = strrchr(name, '@');
    if (at) {
        *at = 0;
        for (char *part = strtok(at + 1, ","); part; part = strtok(NULL, ",")) {
            long n = strtol(part, NULL, 10);
            if (n < 0 || n >= MOST_BINDINGS) fail("%s: no binding %s", path, part);
            dynamic[n] = true;
        }
    }
    struct built b = build(&m, dynamic);
    uint32_t count = 1;
    VkPipelineInfoKHR pipeline = {VK_STRUCTURE_TYPE_PIPELINE_INFO_KHR, .pipeline = b.pipeline};
    VkPipelineExecutablePropertiesKHR executable = {VK_STRUCTURE_TYPE_PIPELINE_EXECUTABLE_PROPERTIES_KHR};
    get_executables(device, &pipeline, &count, &executable);
    char *text = assembly(b.pipeline);

    const char *family = getenv("RADV_FORCE_FAMILY");
    printf("{\"shader\":");
    print_text(name);
    printf(",\"entry\":");
    print_text(m.entry);
    printf(",\"family\":");
    print_text(family ? family : "");
    printf(",\"device\":");
    print_text(properties.deviceName);
    printf(",\"workgroup\":[%u,%u,%u],\"wave\":%u,\"bindings\":%zu,\"statistics\":", m.workgroup[0], m.workgroup[1], m.workgroup[2], executable.subgroupSize, m.binding_count);
    print_statistics(b.pipeline);
    int n = blocks_of(text, blocks);
    uint32_t all[KINDS] = {0};
    for (int i = 0; i < n; i++)
        for (int k = 0; k < KINDS; k++) all[k] += blocks[i].kinds[k];
    printf(",\"kinds\":");
    print_kinds(all);
    printf(",\"blocks\":[");
    const char *comma = "";
    for (int i = 0; i < n; i++) {
        uint32_t sum = 0;
        for (int k = 0; k < KINDS; k++) sum += blocks[i].kinds[k];
        if (!sum) continue;
        printf("%s{\"label\":\"%s\",\"loop\":%s%s%s,\"depth\":%d,\"kinds\":", comma, blocks[i].label, blocks[i].loop < 0 ? "" : "\"",
               blocks[i].loop < 0 ? "null" : blocks[blocks[i].loop].label, blocks[i].loop < 0 ? "" : "\"", blocks[i].depth);
        print_kinds(blocks[i].kinds);
        printf("}");
        comma = ",";
    }
    printf("]}\n");
    if (folder) {
        char file[1024];
        snprintf(file, sizeof file, "%s/%s.%s.s", folder, name, family ? family : "device");
        FILE *out = fopen(file, "w");
        if (!out) fail("%s: %s", file, strerror(errno));
        fputs(text, out);
        fclose(out);
    }
    free(text);
    free(m.words);
    drop(&b);
}

int main(int count, char **arguments) {
    const char *folder = NULL;
    int first = 1;
    if (count == 2 && !strcmp(arguments[1], "--driver")) {
        open_device();
        puts(driver.driverInfo);
        return 0;
    }
    if (first + 1 < count && !strcmp(arguments[first], "--asm")) folder = arguments[2], mkdir(folder, 0777), first = 3;
    if (first >= count) fail("usage: RADV_FORCE_FAMILY=navi21 isa [--asm DIR] FILE.spv...");
    open_device();
    for (; first < count; first++) report(arguments[first], folder), fflush(stdout);
    return 0;
}
