// SPDX-License-Identifier: Apache-2.0
#include "args.h"
#include "beside.h"
#include "commands.h"
#include "pipeline_args.h"
#include "serve_options.h"

#include "serve/serve.h"

#include "sonoseg/models.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define SOURCE_PORT 18944
#define SINK_PORT   18945
#define WEB_PORT    8080
#define WEB_PORTS   10 /* that --demo tries */

/* What will run, as far as it is known before anything is opened. */
typedef struct plan {
    sono_serve_config *config;
    pipeline_args models; /* owns the paths of models that come with sonoseg */
    sono_backend backend;
    int is_null; /* engine.kind is null: no models, no device */
} plan;

static void value_of(const sono_serve_config *config, int key, char out[SONO_SERVE_TEXT_BYTES])
{
    sono_serve_config_value(config, key, out, SONO_SERVE_TEXT_BYTES);
}

/* Finds the device and the models, and writes the models' paths into the configuration, as flags would. */
static int make_plan(plan *self, sono_serve_config *config)
{
    sono_error error;
    char kind[SONO_SERVE_TEXT_BYTES];
    *self = (plan){.config = config};
    value_of(config, SONO_SERVE_KEY_engine_kind, kind);
    self->is_null = !strcmp(kind, "null");
    if (self->is_null)
        return STATUS_DONE;
    if (sono_device_backend(config->engine_device, &self->backend, &error) != SONO_STATUS_OK) {
        report_error("%s", error.text);
        return STATUS_FAILED;
    }
    pipeline_args_init(&self->models);
    self->models.config.device = config->engine_device;
    if (*config->engine_detector)
        self->models.config.detector_path = config->engine_detector;
    if (*config->engine_segmenter)
        self->models.config.segmenter_path = config->engine_segmenter;
    const int status = pipeline_args_find_checkpoints(&self->models);
    if (status != STATUS_DONE)
        return status;
    char min_piece[32], bridge[32];
    const sono_pipeline_config *found = &self->models.config;
    snprintf(min_piece, sizeof min_piece, "%g",
             config->engine_min_piece < 0 ? (double)found->min_piece_share : config->engine_min_piece);
    snprintf(bridge, sizeof bridge, "%g",
             config->engine_bridge < 0 ? (double)found->bridge_share : config->engine_bridge);
    const int has_surface = config->engine_surface == SONO_SERVE_SURFACE_AUTO
                                ? found->want_surface
                                : config->engine_surface == SONO_SERVE_SURFACE_ON;
    if (sono_serve_config_set(config, "engine-min-piece", min_piece, &error) ||
        sono_serve_config_set(config, "engine-bridge", bridge, &error) ||
        sono_serve_config_set(config, "engine-surface", has_surface ? "on" : "off", &error) ||
        sono_serve_config_set(config, "detector", self->models.config.detector_path, &error) ||
        sono_serve_config_set(config, "segmenter", self->models.config.segmenter_path, &error)) {
        report_error("%s", error.text);
        return STATUS_USAGE;
    }
    return STATUS_DONE;
}

static void close_plan(plan *self)
{
    if (!self->is_null)
        pipeline_args_close(&self->models);
}

/* ---- --check --------------------------------------------------------------------------------------------
 */

/* 1 = a pipeline would take it; else an error was reported. */
static int check_model(const char *what, const char *path, sono_detector_family family)
{
    sono_model_info info;
    sono_error error;
    if (sono_model_inspect(path, &info, &error) == SONO_STATUS_OK &&
        sono_model_verify(path, family, &error) == SONO_STATUS_OK) {
        printf("%-11s %s\n%-11s %s, sha256 %s\n", what, path, "", info.architecture, info.sha256);
        return 1;
    }
    printf("%-11s %s: cannot be used\n", what, path);
    report_error("%s", error.text);
    return 0;
}

static int check_models(const plan *self)
{
    const sono_serve_config *config = self->config;
    char precision[SONO_SERVE_TEXT_BYTES], family[SONO_SERVE_TEXT_BYTES];
    sono_detector_family taken = SONO_FAMILY_AUTO;
    value_of(config, SONO_SERVE_KEY_engine_precision, precision);
    value_of(config, SONO_SERVE_KEY_engine_detector_family, family);
    const int is_cuda = self->backend == SONO_BACKEND_CUDA;
    if (strcmp(family, "auto") != 0 && family_take(family, &taken))
        return 0;
    printf("%-11s %s, %s, threshold %g\n", "engine", is_cuda ? config->engine_device : "cpu",
           strcmp(precision, "auto") ? precision
           : is_cuda                 ? "fp16"
                                     : "fp32",
           config->engine_threshold);
    const int has_detector = check_model("detector", config->engine_detector, taken);
    const int has_segmenter = check_model("segmenter", config->engine_segmenter, SONO_FAMILY_AUTO);
    if (!is_cuda && !strcmp(precision, "fp16"))
        report_error(
            "engine.precision is fp16, but the CPU computes in fp32 only, and there is no usable GPU");
    return has_detector && has_segmenter && (is_cuda || strcmp(precision, "fp16") != 0);
}

static int check(sono_serve_config *config)
{
    plan planned;
    printf("%-11s %s\n", "file", *config->path ? config->path : "none: defaults and options");
    printf("%-11s %s, %s%s%s\n", "source", config->source_address,
           *config->source_device ? "the image '" : "the first image that comes", config->source_device,
           *config->source_device ? "'" : "");
    printf("%-11s %s, up to %d clients\n", "listens on", config->sink_listen, (int)config->sink_max_clients);
    printf("%-11s %s\n", "records", *config->record_folder ? config->record_folder : "nothing");
    const int status = make_plan(&planned, config);
    int is_ready = status == STATUS_DONE;
    if (is_ready && planned.is_null)
        printf("%-11s null: it marks pixels of 128 and above\n", "engine");
    else if (is_ready)
        is_ready = check_models(&planned);
    printf("%-11s %s\n", "would run", is_ready ? "yes" : "no");
    close_plan(&planned);
    return is_ready ? STATUS_DONE : STATUS_FAILED;
}

/* ---- running --------------------------------------------------------------------------------------------
 */

/* The script for Slicer, to be freed; NULL when it is not there. */
static char *find_script(void)
{
    char *path = beside_command(SONO_INSTALLED_SLICER);
    if (path && access(path, R_OK) && beside_is_build_tree()) {
        free(path);
        path = beside_command(SONO_SOURCE_SLICER);
    }
    char *whole = path && !access(path, R_OK) ? realpath(path, NULL) : NULL;
    free(path);
    return whole;
}

typedef struct running {
    sono_serve_config *config;
    pid_t replay; /* --demo: the process that plays the source; 0 = none */
} running;

/* One line: where it listens, and what connects Slicer to it. */
static void say_ready(void *user, int32_t port, int32_t web_port)
{
    const running *self = user;
    char host[SONO_SERVE_TEXT_BYTES] = "", source[SONO_SERVE_TEXT_BYTES], image[32] = "";
    int32_t unused = 0, source_port = 0;
    sono_serve_address_split(self->config->sink_listen, SINK_PORT, host, sizeof host, &unused);
    sono_serve_address_split(self->config->source_address, SOURCE_PORT, source, sizeof source, &source_port);
    if (self->replay)
        snprintf(image, sizeof image, ", image_port=%d", (int)source_port);
    const int is_any = !strcmp(host, "0.0.0.0") || !strcmp(host, "::");
    const int is_six = strchr(host, ':') != NULL;
    const char *reached = is_any ? "127.0.0.1" : host;
    char *script = find_script();
    printf("sonoseg: ready: listening on %s%s%s:%d; paste into 3D Slicer's Python console: ",
           is_six ? "[" : "", host, is_six ? "]" : "", (int)port);
    if (script)
        printf("exec(open(r\"%s\").read()); sonoseg(\"%s\", %d%s)\n", script, reached, (int)port, image);
    else
        printf("c = slicer.mrmlScene.AddNewNodeByClass(\"vtkMRMLIGTLConnectorNode\"); "
               "c.SetTypeClient(\"%s\", %d); c.Start()\n",
               reached, (int)port);
    if (web_port) {
        sono_serve_address_split(self->config->web_listen, WEB_PORT, host, sizeof host, &unused);
        const int is_wide = !strcmp(host, "0.0.0.0") || !strcmp(host, "::");
        printf("sonoseg: page: http://%s:%d/\n",
               is_wide             ? "127.0.0.1"
               : strchr(host, ':') ? "[::1]"
                                   : host,
               (int)web_port);
    }
    fflush(stdout);
    free(script);
}

/* Plays the source in a process of its own, which ends with this one. To be called while there is one thread.
 * Its pid, or -1 after report_error(). */
static pid_t start_replay(const sono_serve_config *config)
{
    char name[] = "replay", input[] = "phantom:", loop[] = "--loop", quiet[] = "--quiet",
         listen[] = "--listen", address[SONO_SERVE_TEXT_BYTES];
    char *words[] = {name, input, loop, quiet, listen, address, NULL};
    snprintf(address, sizeof address, "%s", config->source_address);
    const pid_t parent = getpid(), child = fork();
    if (child < 0)
        report_error("the replay cannot be started: %s", strerror(errno));
    if (child)
        return child;
    if (prctl(PR_SET_PDEATHSIG, SIGTERM) || getppid() != parent)
        _exit(STATUS_FAILED);
    _exit(cmd_replay((int)(sizeof words / sizeof *words) - 1, words));
}

static int is_free(int port)
{
    const struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    const int one = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const int is_so = fd >= 0 && !setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one) &&
                      !bind(fd, (const void *)&address, sizeof address);
    if (fd >= 0)
        close(fd);
    return is_so;
}

/* --demo shows a page where nobody said at which address: at the first port from WEB_PORT on that is free. */
static void choose_web_port(sono_serve_config *config)
{
    int port = WEB_PORT;
    while (port < WEB_PORT + WEB_PORTS && !is_free(port))
        port++;
    port = port < WEB_PORT + WEB_PORTS ? port : WEB_PORT; /* which says why it cannot listen */
    if (port != WEB_PORT)
        report_warning("port %d is taken: the page is at %d (--web-listen names another)", WEB_PORT, port);
    snprintf(config->web_listen, sizeof config->web_listen, "127.0.0.1:%d", port);
}

static int run(sono_serve_config *config, int wants_demo)
{
    sono_error error;
    plan planned;
    running self = {.config = config};
    if (wants_demo && (self.replay = start_replay(config)) < 0)
        return STATUS_FAILED;
    int status = make_plan(&planned, config);
    if (status == STATUS_DONE) {
        if (!planned.is_null && planned.backend == SONO_BACKEND_CPU && !strcmp(config->engine_device, "auto"))
            report_warning("no usable GPU: running on the CPU (--device cpu takes it without this line)");
        status = sono_serve_run(config, say_ready, &self, &error) ? STATUS_FAILED : STATUS_DONE;
        if (status != STATUS_DONE)
            report_error("%s", error.text);
    }
    close_plan(&planned);
    if (self.replay) {
        kill(self.replay, SIGTERM);
        waitpid(self.replay, NULL, 0);
    }
    return status;
}

int cmd_serve(int argc, char **argv)
{
    serve_options options;
    sono_error error;
    char warning[512];
    const args_result parsed = serve_options_parse(&options, argc, argv);
    if (parsed != ARGS_GO)
        return parsed == ARGS_WRONG ? STATUS_USAGE : STATUS_DONE;
    if (options.wants_keys) {
        serve_options_print_keys(stdout);
        return STATUS_DONE;
    }
    if ((options.path && sono_serve_config_read(&options.config, options.path, &error) != SONO_STATUS_OK) ||
        sono_serve_config_check(&options.config, &error) != SONO_STATUS_OK) {
        report_error("%s", error.text);
        return STATUS_USAGE;
    }
    if (options.wants_demo && sono_serve_has_web() && !options.config.line[SONO_SERVE_KEY_web_listen])
        choose_web_port(&options.config);
    if (options.wants_config) {
        sono_serve_config_write(&options.config, stdout);
        return STATUS_DONE;
    }
    if (sono_serve_config_warn(&options.config, warning, sizeof warning))
        report_warning("%s", warning);
    return options.wants_check ? check(&options.config) : run(&options.config, options.wants_demo);
}
