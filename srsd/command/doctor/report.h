/* check_report.h - what "srsd check" prints: a table for people, or lines of JSON. */
#ifndef COMMAND_DOCTOR_REPORT_H
#define COMMAND_DOCTOR_REPORT_H

#include "srsd/command/doctor/diagnosis.h"
#include "srsd/command/doctor/ensemble.h"
#include "srsd/command/options.h"
#include "srsd/command/output.h"

struct report {
	const struct options *options;
	const struct evidence *evidence;
	const struct findings *findings;
	const struct unknown *unknowns;
	size_t unknown_count;
	size_t usable;		    /* nodes that discovery takes */
	size_t tried;		    /* addresses that were connected to */
	size_t answering;	    /* of them */
	uint32_t agreed_timeout_ms; /* of our own session */
	uint32_t session_least_ms;  /* that the server allows; 0: not known */
	uint32_t session_most_ms;
	int64_t now_ms; /* wall clock */
};

/* Write it to standard output. */
enum output_result report_write(const struct report *report);

#endif
