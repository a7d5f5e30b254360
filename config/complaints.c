/* complaints - gathers what is wrong with a configuration and tells it in the order of the file. */
#include "config/complaints.h"

#include "config/encoding.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct shown show(const char *text, size_t bytes)
{
	struct shown shown;
	size_t used = 0, at = 0;
	const size_t room = sizeof(shown.text) - sizeof("...");
	while (at < bytes) {
		uint32_t character = 0;
		size_t width = encoding_decode(text + at, bytes - at, &character);
		bool is_printable = width > 1 ? character >= 0xA0 : character >= 0x20 && character < 0x7F;
		if (width == 0)
			width = 1;
		size_t needed = is_printable ? width : width * strlen("\\x00");
		if (used + needed > room)
			break;
		for (size_t i = 0; i < width && !is_printable; i++)
			used += (size_t)snprintf(shown.text + used, sizeof(shown.text) - used, "\\x%02x",
				(unsigned char)text[at + i]);
		if (is_printable) {
			memcpy(shown.text + used, text + at, width);
			used += width;
		}
		at += width;
	}
	strcpy(shown.text + used, at < bytes ? "..." : "");
	return shown;
}

struct shown show_text(const char *text)
{
	return show(text, strlen(text));
}

/* Make the whole line: place, then the text. The caller frees it. NULL: out of memory. */
__attribute__((format(printf, 2, 0))) static char *complaint_line(
	struct place place, const char *format, va_list arguments)
{
	char where[160];
	if (place.line == 0)
		snprintf(where, sizeof(where), "--set %s: ", show_text(place.origin).text);
	else
		snprintf(where, sizeof(where), "%s:%zu:%zu: ", show_text(place.origin).text, place.line,
			place.column);
	size_t where_bytes = strlen(where);

	va_list again;
	va_copy(again, arguments);
	int text_bytes = vsnprintf(NULL, 0, format, arguments);
	size_t bytes = where_bytes + (size_t)(text_bytes < 0 ? 0 : text_bytes) + 1;
	char *line = malloc(bytes);
	if (line != NULL) {
		memcpy(line, where, where_bytes + 1);
		vsnprintf(line + where_bytes, bytes - where_bytes, format, again);
	}
	va_end(again);
	return line;
}

static bool complaints_grow(struct complaints *complaints)
{
	if (complaints->count < complaints->capacity)
		return true;
	size_t capacity = complaints->capacity == 0 ? 16 : complaints->capacity * 2;
	struct complaint *items = realloc(complaints->items, capacity * sizeof(*items));
	if (items == NULL)
		return false;
	complaints->items = items;
	complaints->capacity = capacity;
	return true;
}

void complaints_add(struct complaints *complaints, struct place place, const char *format, ...)
{
	va_list arguments;
	va_start(arguments, format);
	char *line = complaint_line(place, format, arguments);
	va_end(arguments);
	if (line == NULL || !complaints_grow(complaints)) {
		complaints->is_out_of_memory = true;
		free(line);
		return;
	}
	size_t order = complaints->count++;
	complaints->items[order] = (struct complaint){.place = place, .order = order, .text = line};
}

bool complaints_any(const struct complaints *complaints)
{
	return complaints->count > 0 || complaints->is_out_of_memory;
}

static int compare_sizes(size_t a, size_t b)
{
	return (a > b) - (a < b);
}

/* The file from top to bottom, then the options in the order in which they were found wrong. */
static int complaint_compare(const void *left, const void *right)
{
	const struct complaint *a = left, *b = right;
	size_t a_line = a->place.line == 0 ? SIZE_MAX : a->place.line;
	size_t b_line = b->place.line == 0 ? SIZE_MAX : b->place.line;
	int result = compare_sizes(a_line, b_line);
	if (result == 0)
		result = compare_sizes(a->place.column, b->place.column);
	return result != 0 ? result : compare_sizes(a->order, b->order);
}

void complaints_tell(
	struct complaints *complaints, const char *name, settings_complain_fn *complain, void *arg)
{
	if (complaints->count > 0)
		qsort(complaints->items, complaints->count, sizeof(*complaints->items), complaint_compare);
	for (size_t i = 0; i < complaints->count; i++)
		complain(arg, complaints->items[i].text);
	if (complaints->is_out_of_memory) {
		char text[256];
		snprintf(text, sizeof(text),
			"%s:1:1: out of memory while the configuration was read, give the process more "
			"memory",
			show_text(name).text);
		complain(arg, text);
	}
}

void complaints_clear(struct complaints *complaints)
{
	for (size_t i = 0; i < complaints->count; i++)
		free(complaints->items[i].text);
	free(complaints->items);
	*complaints = (struct complaints){0};
}
