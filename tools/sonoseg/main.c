// SPDX-License-Identifier: Apache-2.0
/* The command: sonoseg <subcommand> ... */
#include "args.h"
#include "commands.h"

#include "serve/nearest.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>

typedef struct command {
    const char *name;
    int (*main)(int argc, char **argv);
    const char *help;
} command;

static const command commands[] = {
    {"demo", cmd_demo, "show it all on synthetic frames; needs nothing"},
    {"run", cmd_run, "find and outline the structure in image files"},
    {"serve", cmd_serve, "live: images in from PlusServer, masks out to 3D Slicer (OpenIGTLink)"},
    {"top", cmd_top, "what a running 'serve' does, in a terminal"},
    {"evaluate", cmd_evaluate, "say how good boxes, masks and scores are on labelled frames"},
    {"merge", cmd_merge, "put the shards of a run into one folder"},
    {"export", cmd_export, "write results as COCO JSON, NIfTI, NRRD, CSV or a sequence"},
    {"phantom", cmd_phantom, "write labelled frames of the synthetic scanner"},
    {"replay", cmd_replay, "serve recorded or synthetic frames as PlusServer does"},
    {"record", cmd_record, "record what an OpenIGTLink source sends"},
    {"report", cmd_report, "make a page of a recording or a folder of results"},
    {"bench", cmd_bench, "time the pipeline, stage by stage"},
    {"audit", cmd_audit, "check what crosses between host and GPU"},
    {"inspect", cmd_inspect, "say what a checkpoint is"},
    {"convert", cmd_convert, "write a checkpoint as safetensors, also at half the size"},
    {"version", cmd_version, "print the version and how this command was built"},
};

#define N_COMMANDS (sizeof commands / sizeof commands[0])

static void print_help(void)
{
    printf("sonoseg finds one structure in ultrasound frames, outlines it and writes masks, overlays and "
           "numbers.\n\n"
           "usage: sonoseg <command> [options]\n\ncommands\n");
    for (size_t i = 0; i < N_COMMANDS; i++)
        printf("  %-9s %s\n", commands[i].name, commands[i].help);
    printf("\nexamples\n"
           "  sonoseg demo\n"
           "  sonoseg run --input sweep/ --output out\n"
           "  sonoseg run --input sweep/ --output out --detector dfine_s.pth --segmenter mobile_sam.pt\n"
           "  sonoseg serve --source 192.168.1.20:18944\n\n"
           "Models come with sonoseg. The environment may name others: SONO_DETECTOR, SONO_SEGMENTER, or a\n"
           "folder, SONO_MODELS.\n"
           "'sonoseg <command> --help' shows a command's options. For research, not a medical device.\n");
}

static const command *find(const char *name)
{
    for (size_t i = 0; i < N_COMMANDS; i++)
        if (!strcmp(commands[i].name, name))
            return &commands[i];
    return NULL;
}

static int report_unknown(const char *name)
{
    const char *names[N_COMMANDS + 2];
    for (size_t i = 0; i < N_COMMANDS; i++)
        names[i] = commands[i].name;
    names[N_COMMANDS] = "help";
    names[N_COMMANDS + 1] = NULL;
    const char *nearest = sono_serve_nearest(name + strspn(name, "-"), names);
    if (nearest)
        report_error("unknown command '%s': did you mean '%s'?", name, nearest);
    else
        report_error("unknown command '%s'", name);
    report_see_help(NULL);
    return STATUS_USAGE;
}

static int show_help(int argc, char **argv)
{
    char option[] = "--help";
    if (argc < 3) {
        print_help();
        return STATUS_DONE;
    }
    const command *chosen = find(argv[2]);
    char *words[] = {argv[2], option, NULL};
    return chosen ? chosen->main(2, words) : report_unknown(argv[2]);
}

static int dispatch(int argc, char **argv)
{
    if (argc < 2) {
        report_error("no command given");
        report_see_help(NULL);
        return STATUS_USAGE;
    }
    if (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h") || !strcmp(argv[1], "help"))
        return show_help(argc, argv);
    const command *chosen = find(strcmp(argv[1], "--version") ? argv[1] : "version");
    return chosen ? chosen->main(argc - 1, argv + 1) : report_unknown(argv[1]);
}

int main(int argc, char **argv)
{
    signal(SIGXFSZ, SIG_IGN); /* a file beyond `ulimit -f` is an error like a full disk */
    const int status = dispatch(argc, argv);
    if (!fflush(stdout) && !ferror(stdout))
        return status;
    report_error("standard output could not be written");
    return status ? status : STATUS_FAILED;
}
