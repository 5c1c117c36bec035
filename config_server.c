/* SPDX-License-Identifier: MIT
 * The values of [server], from the words of the INI file to numbers, addresses and choices.
 */
#include <string.h>

#include "config.h"

#define DEFAULT_LISTEN "[::]:443"

/* Where to complain, if it comes to that. */
struct context {
    const struct config *config;
    struct finding_list *findings;
};

static void complain(const struct context *context, const struct policy_value *value,
                     const char *key, const char *want)
{
    finding_add(context->findings, FINDING_ERROR, "SERVER_VALUE",
                (struct place){context->config->path, value->line, 0}, "%s = %s: it must be %s",
                key, value->text, want);
}

static unsigned read_number(const struct context *context, const struct policy_value *value,
                            const char *key, unsigned low, unsigned high, unsigned fallback)
{
    uint64_t number;
    char want[64];

    if (value->text == NULL)
        return fallback;
    if (policy_number(value->text, strlen(value->text), &number) && number >= low && number <= high)
        return (unsigned)number;
    snprintf(want, sizeof want, "%sa number from %u to %u",
             strcmp(key, "workers") == 0 ? "auto or " : "", low, high);
    complain(context, value, key, want);
    return fallback;
}

/* The index of the value among `choices` (ended by NULL), or `fallback`. */
static unsigned read_choice(const struct context *context, const struct policy_value *value,
                            const char *key, const char *const choices[], const char *want,
                            unsigned fallback)
{
    if (value->text == NULL)
        return fallback;
    for (unsigned i = 0; choices[i] != NULL; i++)
        if (strcmp(value->text, choices[i]) == 0)
            return i;
    complain(context, value, key, want);
    return fallback;
}

static void read_listen(struct config *config, struct finding_list *findings)
{
    struct context context = {config, findings};
    static const struct policy_value standard = {DEFAULT_LISTEN, 0};
    const struct policy_values *list = &config->server.listen;
    size_t count = list->count > 0 ? list->count : 1;

    config->listen = arena_alloc(&config->arena, count * sizeof *config->listen);
    if (config->listen == NULL) {
        findings->out_of_memory = true;
        return;
    }
    for (size_t i = 0; i < count; i++) {
        const struct policy_value *value = list->count > 0 ? &list->items[i] : &standard;
        struct config_listen *listen = &config->listen[config->listen_count];
        listen->line = value->line;
        if (address_parse(value->text, &listen->address))
            config->listen_count++;
        else
            complain(&context, value, "listen",
                     "a numeric address and a port: 192.0.2.1:443, [2001:db8::1]:443, [::]:443");
    }
}

static void read_choices(struct config *config, const struct context *context)
{
    static const char *const sandboxes[] = {
        [CONFIG_SANDBOX_AUTO] = "auto",
        [CONFIG_SANDBOX_STRICT] = "strict",
        [CONFIG_SANDBOX_OFF] = "off",
        NULL,
    };
    static const char *const logs[] = {"errors", "requests", "debug", NULL};
    static const enum log_level levels[] = {LOG_ERROR, LOG_INFO, LOG_DEBUG};

    config->sandbox =
        (enum config_sandbox)read_choice(context, &config->server.sandbox, "sandbox", sandboxes,
                                         "auto, strict or off", CONFIG_SANDBOX_AUTO);
    config->log = levels[read_choice(context, &config->server.log, "log", logs,
                                     "errors, requests or debug", 1)];
}

void config_read_server(struct config *config, struct finding_list *findings)
{
    struct context context = {config, findings};
    const struct config_server *server = &config->server;
    bool automatic = server->workers.text != NULL && strcmp(server->workers.text, "auto") == 0;

    read_listen(config, findings);
    read_choices(config, &context);
    if (!automatic)
        config->workers = read_number(&context, &server->workers, "workers", 1, 64, 0);
    config->max_connections =
        read_number(&context, &server->max_connections, "max_connections", 1, 65536, 1024);
    config->max_per_source =
        read_number(&context, &server->max_per_source, "max_per_source", 0, 65536, 32);
    config->timeout = read_number(&context, &server->timeout, "timeout", 1, 300, 10);
}
