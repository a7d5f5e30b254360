/* doctor - the sub-command that looks for what is wrong with a label: the registry's doctor.
 *
 *   read all nodes --> connect to each address   --+--> diagnosis --> report
 *                  \-> ask the servers of owners --+
 *
 * The servers are asked after the nodes were read, so that an owner who is not connected any more is one who
 * left. Owns the evidence. */
#include "srsd/command/doctor/report.h"
#include "srsd/command/failure.h"
#include "srsd/command/progress.h"

#include <event2/event.h>
#include <stdlib.h>
#include <string.h>

#define CONNECTING "connecting to the addresses:"

struct examination {
	const struct options *options;
	struct event_base *base;
	struct srsd *srsd;
	struct dialler dialler;
	struct progress progress;
	struct srsd_snapshot *snapshot; /* NULL: not read yet */
	struct subject *subjects;	/* of members, then of outsiders with a fault */
	size_t subject_count;
	size_t member_count;
	struct contact *contacts; /* of the members; NULL: not wanted */
	struct rounds *rounds;
	size_t contacts_done;
	struct ensemble ensemble;
	uint32_t agreed_timeout_ms;
	unsigned waiting; /* for the rounds, for the ensemble */
	enum exit_status status;
};

static void end(struct examination *exam, enum exit_status status)
{
	exam->status = status;
	event_base_loopbreak(exam->base);
}

static void end_without_memory(struct examination *exam)
{
	progress_hide(&exam->progress);
	complain("out of memory");
	end(exam, EXIT_STATUS_SYSTEM);
}

/* ---- The verdict ----------------------------------------------------------------------------- */

static void count_answers(const struct examination *exam, struct report *report)
{
	report->usable = exam->member_count;
	if (exam->contacts == NULL)
		return;
	report->tried = exam->member_count;
	for (size_t i = 0; i < exam->member_count; i++)
		report->answering += exam->contacts[i].outcome == DIAL_CONNECTED;
}

static size_t count_unseen_owners(const struct examination *exam)
{
	size_t count = 0;

	for (size_t i = 0; i < exam->subject_count; i++) {
		const struct subject *subject = &exam->subjects[i];

		count += subject->is_read && subject->owner > 0 &&
			 clients_find(&exam->ensemble.clients, subject->owner) == NULL;
	}
	return count;
}

/* Where no server tells its bounds, one that gave us more than we asked for has shown the lower one. */
static uint32_t least_session_ms(const struct examination *exam)
{
	if (exam->ensemble.bounds.session_least_ms != 0)
		return exam->ensemble.bounds.session_least_ms;
	return exam->agreed_timeout_ms > exam->options->config.session_timeout_ms ? exam->agreed_timeout_ms
										  : 0;
}

static void conclude(struct examination *exam)
{
	const struct options *options = exam->options;
	const struct ensemble *ensemble = &exam->ensemble;
	const struct evidence evidence = {
		.subjects = exam->subjects,
		.count = exam->subject_count,
		.children_max = options->children_max,
		.slow_ms = options->slow_ms,
		.session_least_ms = least_session_ms(exam),
		.clients = &ensemble->clients,
		.are_clients_complete = ensemble_is_complete(ensemble),
		.ignored = options->ignored_findings,
	};
	struct findings findings;
	struct report report = {
		.options = options,
		.evidence = &evidence,
		.findings = &findings,
		.unknowns = ensemble->unknowns,
		.unknown_count = ensemble->unknown_count,
		.agreed_timeout_ms = exam->agreed_timeout_ms,
		.session_least_ms = ensemble->bounds.session_least_ms,
		.session_most_ms = ensemble->bounds.session_most_ms,
		.now_ms = time_now_ms(),
	};

	count_answers(exam, &report);
	if (!diagnose(&evidence, &findings)) {
		end_without_memory(exam);
	} else {
		progress_hide(&exam->progress);
		enum exit_status status = output_end(report_write(&report));
		if (status == EXIT_STATUS_DONE && findings.count > 0)
			status = EXIT_STATUS_FINDINGS;
		end(exam, status);
	}
	findings_clear(&findings);
}

static void done_waiting(struct examination *exam)
{
	if (--exam->waiting == 0)
		conclude(exam);
}

/* ---- The evidence ---------------------------------------------------------------------------- */

static void on_ensemble(void *arg)
{
	struct examination *exam = arg;

	ensemble_note_unseen(&exam->ensemble, count_unseen_owners(exam));
	done_waiting(exam);
}

static void on_contact(void *arg, size_t done)
{
	struct examination *exam = arg;

	progress_set(&exam->progress, CONNECTING, done, exam->member_count);
	if (done == exam->member_count)
		done_waiting(exam);
}

static struct subject subject_of_member(const struct srsd_endpoint *endpoint)
{
	struct subject subject = {
		.name = srsd_endpoint_name(endpoint),
		.owner = srsd_endpoint_owner(endpoint),
		.created_ms = srsd_endpoint_created_ms(endpoint),
	};

	subject.is_read = subject.created_ms != 0;
	srsd_endpoint_address(endpoint, &subject.address);
	return subject;
}

static struct subject subject_of_outsider(const struct srsd_outsider *outsider)
{
	return (struct subject){
		.name = outsider->name,
		.fault = outsider->fault,
		.is_read = outsider->created_ms != 0,
		.owner = outsider->owner,
		.created_ms = outsider->created_ms,
	};
}

/* Those that take no part by their own word are well, and not looked at. */
static bool gather_subjects(struct examination *exam)
{
	const struct srsd_snapshot *snapshot = exam->snapshot;
	size_t members = srsd_snapshot_count(snapshot), outsiders = srsd_snapshot_outsider_count(snapshot);

	exam->subjects = calloc(members + outsiders + 1, sizeof(*exam->subjects));
	if (exam->subjects == NULL)
		return false;
	for (size_t i = 0; i < members; i++)
		exam->subjects[exam->subject_count++] = subject_of_member(srsd_snapshot_at(snapshot, i));
	exam->member_count = members;
	for (size_t i = 0; i < outsiders; i++) {
		const struct srsd_outsider *outsider = srsd_snapshot_outsider_at(snapshot, i);

		if (outsider->fault != NULL)
			exam->subjects[exam->subject_count++] = subject_of_outsider(outsider);
	}
	return true;
}

static bool start_contacts(struct examination *exam)
{
	if (!exam->options->wants_connect || exam->member_count == 0)
		return true;
	exam->contacts = calloc(exam->member_count, sizeof(*exam->contacts));
	if (exam->contacts == NULL)
		return false;
	for (size_t i = 0; i < exam->member_count; i++) {
		exam->contacts[i].address = exam->subjects[i].address;
		exam->subjects[i].contact = &exam->contacts[i];
	}
	progress_set(&exam->progress, CONNECTING, 0, exam->member_count);
	exam->rounds = rounds_start(&exam->dialler, exam->contacts, exam->member_count,
		exam->options->connect_timeout_ms, on_contact, exam);
	exam->waiting += exam->rounds != NULL;
	return exam->rounds != NULL;
}

static bool start_questions(struct examination *exam)
{
	exam->waiting++;
	return ensemble_ask(&exam->ensemble, &exam->dialler, exam->options->config.servers,
		exam->options->connect_timeout_ms, on_ensemble, exam);
}

static void on_read(void *arg, enum srsd_status status, struct srsd_snapshot *snapshot)
{
	struct examination *exam = arg;

	progress_hide(&exam->progress);
	if (status != SRSD_OK) {
		end(exam, reading_failed(exam->options, exam->srsd, status));
		return;
	}
	exam->snapshot = srsd_snapshot_ref(snapshot);
	exam->agreed_timeout_ms = srsd_session_timeout_ms(exam->srsd);
	if (!gather_subjects(exam) || !start_questions(exam) || !start_contacts(exam))
		end_without_memory(exam);
}

/* ---- The sub-command ------------------------------------------------------------------------- */

/* What the library warns of once it reads the nodes stands in the report. */
static void on_log(void *arg, enum srsd_log_level level, const char *text)
{
	struct examination *exam = arg;
	bool is_reading = exam->srsd != NULL && srsd_current_state(exam->srsd) == SRSD_CONNECTED;

	progress_hide(&exam->progress);
	output_log(NULL, level == SRSD_LOG_WARNING && is_reading ? SRSD_LOG_INFO : level, text);
}

static enum exit_status examine(struct examination *exam)
{
	const struct options *options = exam->options;
	struct srsd_read_options reading = options->reading;
	struct srsd_config config = options->config;
	struct srsd_error error = {""};

	reading.wants_origin = true;
	config.log = on_log;
	config.arg = exam;
	/* Too many of them is a finding, and no reason not to look. */
	config.children_max = UINT32_MAX;
	progress_begin(&exam->progress, exam->base);
	progress_set(&exam->progress, "reading the nodes", 0, 0);
	enum srsd_status status = srsd_open(exam->base, &config, &exam->srsd, &error);
	if (status == SRSD_OK)
		status = srsd_discover(exam->srsd, options->operands[0], &reading, options->timeout_ms,
			on_read, exam, &error);
	if (status != SRSD_OK) {
		complain("%s", error.text);
		return exit_status_of(status);
	}
	if (event_base_dispatch(exam->base) == 0)
		return exam->status;
	complain("the event loop failed");
	return EXIT_STATUS_SYSTEM;
}

static int check_run(const struct options *options)
{
	struct examination exam = {.options = options, .base = event_base_new()};

	if (exam.base == NULL) {
		complain("cannot make an event loop: out of memory or of file descriptors");
		return EXIT_STATUS_SYSTEM;
	}
	exam.dialler.base = exam.base;
	enum exit_status status = examine(&exam);
	progress_end(&exam.progress);
	srsd_close(&exam.srsd);
	dialler_clear(&exam.dialler);
	rounds_free(exam.rounds);
	ensemble_clear(&exam.ensemble);
	free(exam.contacts);
	free(exam.subjects);
	srsd_snapshot_unref(&exam.snapshot);
	event_base_free(exam.base);
	return (int)status;
}

static void describe_findings(FILE *out)
{
	for (int kind = 0; kind < FINDING_KINDS; kind++)
		fprintf(out, "  %-14s %s\n", finding_word((enum finding_kind)kind),
			finding_meaning((enum finding_kind)kind));
}

const struct command command_check = {
	.bit = COMMAND_CHECK,
	.operand_count = 1,
	.name = "check",
	.operands = "LABEL",
	.summary = "look for what is wrong with a label",
	.description = "Reads all nodes of LABEL, connects to each address, asks each ZooKeeper server\n"
		       "who is connected to it, prints what is wrong, and ends with exit status 2 when\n"
		       "something is. Changes nothing.\n"
		       "\n"
		       "Who holds a node from where, and with which session timeout, the servers tell\n"
		       "only where their configuration has 4lw.commands.whitelist=srvr,conf,cons; where\n"
		       "they do not, the report says that it is not known, which is no finding.\n"
		       "\n"
		       "Findings:\n",
	.describe = describe_findings,
	.examples = "  srsd check tornado_app\n"
		    "  srsd check tornado_app --zookeeper zk1:2181,zk2:2181,zk3:2181 --ignore foreign\n"
		    "  srsd check tornado_app --json --no-connect\n",
	.run = check_run,
};
