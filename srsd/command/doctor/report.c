/* check_report - prints what "srsd check" has found. Owns nothing. */
#include "srsd/command/doctor/report.h"

#include "srsd/command/duration.h"

#include <inttypes.h>
#include <string.h>

#define NODE_COLUMN_MAX 48 /* a longer name stands out of its column */

enum { WORD_COLUMN = 13, OWNER_COLUMN = 18, AGE_COLUMN = 6 };

/* The node of a finding, or NULL when it is one of the label. */
static const struct subject *subject_of(const struct report *report, const struct finding *finding)
{
	return finding->subject == FINDING_OF_LABEL ? NULL : &report->evidence->subjects[finding->subject];
}

/* ---- For people ------------------------------------------------------------------------------ */

/* Names of nodes are anybody's: none shall drive the terminal, or forge a line. */
static int put_text(const char *text)
{
	int column = 0;

	for (; *text != '\0'; text++, column++)
		putchar((unsigned char)*text < 0x20 || *text == 0x7F ? '?' : *text);
	return column;
}

static void put_column(const char *text, int width)
{
	int column = put_text(text);

	printf("%*s  ", column < width ? width - column : 0, "");
}

static int node_column(const struct report *report)
{
	size_t width = strlen("NODE");

	for (size_t i = 0; i < report->findings->count; i++) {
		const struct subject *subject = subject_of(report, &report->findings->items[i]);
		size_t bytes = subject == NULL ? 0 : strlen(subject->name);

		if (bytes > width && bytes <= NODE_COLUMN_MAX)
			width = bytes;
	}
	return (int)width;
}

static void put_finding(const struct report *report, const struct finding *finding, int node_width)
{
	const struct subject *subject = subject_of(report, finding);
	char owner[24] = "-", age[DURATION_TEXT_MAX] = "-";

	if (subject != NULL && subject->is_read) {
		if (subject->owner > 0)
			snprintf(owner, sizeof(owner), "0x%" PRIx64, (uint64_t)subject->owner);
		duration_write(report->now_ms - subject->created_ms, age);
	}
	put_column(finding_word(finding->kind), WORD_COLUMN);
	put_column(subject == NULL ? "-" : subject->name, node_width);
	put_column(owner, OWNER_COLUMN);
	put_column(age, AGE_COLUMN);
	put_text(finding->text);
	putchar('\n');
}

static void put_head(const struct report *report)
{
	const struct srsd_config *config = &report->options->config;
	char one[DURATION_TEXT_MAX], other[DURATION_TEXT_MAX];

	printf("%s/%s: %zu nodes, %zu of them usable",
		strcmp(config->registry, "/") == 0 ? "" : config->registry, report->options->operands[0],
		report->evidence->count, report->usable);
	if (report->options->wants_connect)
		printf("; %zu of %zu addresses answer", report->answering, report->tried);
	printf("\nsession timeout: %s", duration_write(report->agreed_timeout_ms, one));
	if (report->agreed_timeout_ms != config->session_timeout_ms)
		printf(" (%s was asked for)", duration_write(config->session_timeout_ms, one));
	if (report->session_least_ms != 0)
		printf("; the server allows %s to %s", duration_write(report->session_least_ms, one),
			duration_write(report->session_most_ms, other));
	putchar('\n');
}

static enum output_result write_table(const struct report *report)
{
	const struct findings *findings = report->findings;
	enum output_result result;
	int node_width = node_column(report);

	put_head(report);
	if (findings->count > 0) {
		putchar('\n');
		put_column("FINDING", WORD_COLUMN);
		put_column("NODE", node_width);
		put_column("OWNER", OWNER_COLUMN);
		put_column("AGE", AGE_COLUMN);
		puts("WHAT");
	}
	result = output_flush();
	for (size_t i = 0; i < findings->count && result == OUTPUT_WRITTEN; i++) {
		put_finding(report, &findings->items[i], node_width);
		result = output_flush();
	}
	if (result != OUTPUT_WRITTEN)
		return result;
	putchar('\n');
	for (size_t i = 0; i < report->unknown_count; i++)
		printf("not known: %s\n", report->unknowns[i].text);
	if (findings->count == 0)
		puts(report->unknown_count == 0 ? "all is well" : "all is well, as far as is known");
	else
		printf("%zu finding%s\n", findings->count, findings->count == 1 ? "" : "s");
	return output_flush();
}

/* ---- For scripts ----------------------------------------------------------------------------- */

static void put_finding_object(const struct report *report, const struct finding *finding)
{
	const struct subject *subject = subject_of(report, finding);
	const struct client *client = NULL;
	char address[SRSD_ADDRESS_MAX];
	struct json json;

	json_begin(&json, stdout);
	json_text(&json, "type", "finding");
	json_text(&json, "finding", finding_word(finding->kind));
	json_text(&json, "label", report->options->operands[0]);
	if (subject != NULL) {
		json_text(&json, "node", subject->name);
		if (subject->fault == NULL) {
			srsd_address_format(&subject->address, address, sizeof(address));
			json_text(&json, "address", address);
		}
		if (subject->is_read) {
			json_session(&json, "owner", subject->owner);
			json_time(&json, "created", subject->created_ms);
			client = clients_find(report->evidence->clients, subject->owner);
		}
		if (client != NULL) {
			json_text(&json, "client", client->host);
			json_whole(&json, "session_timeout_ms", client->timeout_ms);
		}
	}
	json_text(&json, "text", finding->text);
	json_end(&json);
}

static void put_summary_object(const struct report *report)
{
	struct json json;

	json_begin(&json, stdout);
	json_text(&json, "type", "summary");
	json_text(&json, "label", report->options->operands[0]);
	json_time(&json, "time", report->now_ms);
	json_whole(&json, "nodes", (int64_t)report->evidence->count);
	json_whole(&json, "usable", (int64_t)report->usable);
	if (report->options->wants_connect) {
		json_whole(&json, "tried", (int64_t)report->tried);
		json_whole(&json, "answering", (int64_t)report->answering);
	}
	json_whole(&json, "children_max", (int64_t)report->evidence->children_max);
	json_whole(&json, "session_timeout_ms", report->agreed_timeout_ms);
	if (report->session_least_ms != 0) {
		json_whole(&json, "session_timeout_least_ms", report->session_least_ms);
		json_whole(&json, "session_timeout_most_ms", report->session_most_ms);
	}
	json_whole(&json, "unknown", (int64_t)report->unknown_count);
	json_whole(&json, "findings", (int64_t)report->findings->count);
	json_end(&json);
}

static enum output_result write_objects(const struct report *report)
{
	enum output_result result = OUTPUT_WRITTEN;
	struct json json;

	for (size_t i = 0; i < report->findings->count && result == OUTPUT_WRITTEN; i++) {
		put_finding_object(report, &report->findings->items[i]);
		result = output_flush();
	}
	for (size_t i = 0; i < report->unknown_count && result == OUTPUT_WRITTEN; i++) {
		json_begin(&json, stdout);
		json_text(&json, "type", "unknown");
		json_text(&json, "label", report->options->operands[0]);
		json_text(&json, "text", report->unknowns[i].text);
		json_end(&json);
		result = output_flush();
	}
	if (result != OUTPUT_WRITTEN)
		return result;
	put_summary_object(report);
	return output_flush();
}

enum output_result report_write(const struct report *report)
{
	return report->options->is_json ? write_objects(report) : write_table(report);
}
