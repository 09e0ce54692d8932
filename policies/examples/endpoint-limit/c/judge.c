// A policy: no more than so many endpoints in a network. Settings: {"max": 50}.
//
// The contract is wit/policy.wit; contract/policy.h has it in C. There is no clock, no randomness, no file and no printing: what you want
// to see while you write it, put into `notes`. The same request must get the same opinion. Memory is never given back: each call has a
// fresh instance.
#include "contract/policy.h"
#include <stdlib.h>
#include <string.h>

#define LEN(list) (sizeof(list) / sizeof *(list))

typedef exports_bulkhead_policy_judge_violation_t violation_t;
typedef exports_bulkhead_policy_judge_list_violation_t violations_t;

static uint32_t max = 50;

static policy_string_t text(const char *s) { return (policy_string_t){(uint8_t *)s, strlen(s)}; }

static policy_option_string_t some(const char *s) { return (policy_option_string_t){true, text(s)}; }

static void append(policy_string_t *to, policy_string_t more) {
    to->ptr = realloc(to->ptr, to->len + more.len);
    memcpy(to->ptr + to->len, more.ptr, more.len);
    to->len += more.len;
}

static void append_number(policy_string_t *to, uint32_t n) {
    uint8_t digits[10];
    size_t at = sizeof digits;
    do digits[--at] = (uint8_t)('0' + n % 10); while (n /= 10);
    append(to, (policy_string_t){digits + at, sizeof digits - at});
}

static void add(violations_t *list, violation_t violation) {
    list->ptr = realloc(list->ptr, (list->len + 1) * sizeof violation);
    list->ptr[list->len++] = violation;
}

// What the policy says of itself.
void exports_bulkhead_policy_judge_describe(exports_bulkhead_policy_judge_description_t *said) {
    static exports_bulkhead_policy_judge_operation_t operations[] = {EXPORTS_BULKHEAD_POLICY_JUDGE_OPERATION_ATTACH};
    static exports_bulkhead_policy_judge_rule_t rules[1];
    rules[0].id = text("too-many");
    rules[0].summary = text("A network has no more endpoints than the settings say");
    *said = (exports_bulkhead_policy_judge_description_t){
        .name = text("endpoint-limit"),
        .version = text("1.0.0"),
        .summary = text("No more than so many endpoints in a network"),
        .operations = {operations, LEN(operations)},
        .rules = {rules, LEN(rules)},
        .settings_schema = text("{\"type\":\"object\",\"additionalProperties\":false,"
                                "\"properties\":{\"max\":{\"type\":\"integer\",\"minimum\":1,\"default\":50}}}"),
    };
}

// Reads {} or {"max": N}; it comes as JSON without blanks.
static bool read_settings(policy_string_t settings) {
    static const char head[] = "{\"max\":";
    size_t at = sizeof head - 1;
    if (settings.len == 2 && memcmp(settings.ptr, "{}", 2) == 0) return true;
    if (settings.len < at + 2 || memcmp(settings.ptr, head, at) != 0 || settings.ptr[settings.len - 1] != '}') return false;
    uint64_t n = 0;
    for (; at < settings.len - 1; at++) {
        if (settings.ptr[at] < '0' || settings.ptr[at] > '9') return false;
        n = n * 10 + (settings.ptr[at] - '0');
        if (n > UINT32_MAX) return false;
    }
    max = (uint32_t)n;
    return n > 0;
}

// Comes once, with the settings as JSON. Names all that is wrong with them.
bool exports_bulkhead_policy_judge_configure(policy_string_t *settings, violations_t *faults) {
    *faults = (violations_t){0};
    if (read_settings(*settings)) return true;
    add(faults, (violation_t){text("settings"), text("the settings are others than {\"max\": N}"), some("max"), some("a whole number from 1")});
    return false;
}

// Its opinion on a request. Violations if, and only if, it denies.
void exports_bulkhead_policy_judge_evaluate(exports_bulkhead_policy_judge_request_t *request,
                                            exports_bulkhead_policy_judge_opinion_t *opinion) {
    *opinion = (exports_bulkhead_policy_judge_opinion_t){.outcome = EXPORTS_BULKHEAD_POLICY_JUDGE_OUTCOME_ALLOW};
    if (request->network.endpoints < max) return;
    policy_string_t message = {0};
    append(&message, text("network "));
    append(&message, request->network.name);
    append(&message, text(" has "));
    append_number(&message, request->network.endpoints);
    append(&message, text(" endpoints, and may have "));
    append_number(&message, max);
    opinion->outcome = EXPORTS_BULKHEAD_POLICY_JUDGE_OUTCOME_DENY;
    add(&opinion->violations,
        (violation_t){.rule = text("too-many"), .message = message, .remedy = some("attach to another network, or detach what is no longer needed")});
}
