/* The policy of a subscriber's lane: from the spec, with the settings as defaults. Pure. */
#ifndef ESS_DISPATCHER_POLICY_H
#define ESS_DISPATCHER_POLICY_H

#include "dispatcher/lane/lane.h"

struct settings;
struct spec;

struct lane_policy policy_of(const struct spec *spec, const struct settings *defaults);

#endif
