/* internal - what the files of this folder share of a client's connection. downstream.c owns it. */
#ifndef DOWNSTREAM_INTERNAL_H
#define DOWNSTREAM_INTERNAL_H

#include "downstream/downstream.h"

/* Close it; its exchange, if there was one, has ended. It stays in memory until the end of the turn. */
void downstream_close(struct downstream *client);

/* The client is lost: tell the exchange, if there is one, and close. */
void downstream_lose(struct downstream *client);

/* It may linger so long from now on: for a short time when its worker drains. */
void downstream_limit_linger(struct downstream *client);

#endif
