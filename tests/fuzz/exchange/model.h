/* model - what must hold of all that went over the wires, whatever the peers did: see model.c. */
#ifndef FUZZ_EXCHANGE_MODEL_H
#define FUZZ_EXCHANGE_MODEL_H

#include "message.h"

struct model_settings {
	unsigned tries_max;
	bool is_stopped; /* connections were closed at once */
	bool is_quiet;	 /* everything was given its time: whoever may be answered was */
};

/* Check all wires of the network; ends the process where something does not hold. */
void model_check(const struct model_settings *settings);

#endif
