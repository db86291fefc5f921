// SPDX-License-Identifier: Apache-2.0
#include "sequence_set.h"

#include "args.h"

#include <stdlib.h>

#define PERMILLE 1000.0

int sequence_set_add(sequence_set *self, const sequence_frame *frame, const sequence_input *input,
                     sono_state state)
{
    if (self->n == self->capacity) {
        const size_t capacity = self->capacity ? 2 * self->capacity : 512;
        sequence_frame *frames = realloc(self->frames, capacity * sizeof *frames);
        self->frames = frames ? frames : self->frames;
        sequence_input *inputs = realloc(self->inputs, capacity * sizeof *inputs);
        self->inputs = inputs ? inputs : self->inputs;
        uint8_t *states = realloc(self->states, capacity);
        self->states = states ? states : self->states;
        if (!frames || !inputs || !states)
            return -1;
        self->capacity = capacity;
    }
    self->frames[self->n] = *frame;
    self->inputs[self->n] = *input;
    self->states[self->n++] = (uint8_t)state;
    return 0;
}

void sequence_set_free(sequence_set *self)
{
    free(self->frames);
    free(self->inputs);
    free(self->states);
    *self = (sequence_set){0};
}

static sono_status step(sequence_set *self, size_t i, sono_state_machine *machine, sono_error *error)
{
    const sequence_input *input = &self->inputs[i];
    sono_state_report report;
    sono_state_report_init(&report);
    if (i && self->frames[i].sweep != self->frames[i - 1].sweep)
        sono_state_machine_reset(machine);
    const sono_status status = sono_state_machine_step(machine, &input->parts, input->timestamp_ns,
                                                       input->width_px, input->height_px, &report, error);
    if (status)
        return status;
    self->states[i] = (uint8_t)report.state;
    self->frames[i].quality = report.quality / PERMILLE;
    return SONO_STATUS_OK;
}

int sequence_replay(sequence_set *self, const sequence_rules *rules)
{
    sono_error error;
    sono_state_machine *machine = NULL;
    sono_status status = sono_state_machine_open(&rules->rules, rules->mode, &machine, &error);
    for (size_t i = 0; !status && i < self->n; i++)
        status = step(self, i, machine, &error);
    sono_state_machine_close(machine);
    if (status)
        report_error("%s", error.text);
    return status ? -1 : 0;
}
