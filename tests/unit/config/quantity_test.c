/* quantity: whole numbers, durations and sizes, read strictly and written back. */
#include "config/quantity.h"

#include <criterion/criterion.h>
#include <string.h>

struct good_quantity {
	enum quantity_kind kind;
	const char *text;
	uint64_t quantity;
};

Test(quantity, good)
{
	static const struct good_quantity rows[] = {
		{QUANTITY_NUMBER, "0", 0},
		{QUANTITY_NUMBER, "7", 7},
		{QUANTITY_NUMBER, "18446744073709551615", UINT64_MAX},
		{QUANTITY_DURATION, "0ms", 0},
		{QUANTITY_DURATION, "250ms", 250},
		{QUANTITY_DURATION, "10s", 10000},
		{QUANTITY_DURATION, "5m", 300000},
		{QUANTITY_DURATION, "1h", 3600000},
		{QUANTITY_SIZE, "4096", 4096},
		{QUANTITY_SIZE, "64k", 65536},
		{QUANTITY_SIZE, "1m", 1048576},
		{QUANTITY_SIZE, "3g", UINT64_C(3) << 30},
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		uint64_t quantity = 99;
		cr_expect_eq(quantity_parse(rows[i].kind, rows[i].text, strlen(rows[i].text), &quantity),
			QUANTITY_GOOD, "%s", rows[i].text);
		cr_expect_eq(quantity, rows[i].quantity, "%s", rows[i].text);
	}
}

Test(quantity, bad)
{
	static const struct {
		enum quantity_kind kind;
		const char *text;
		enum quantity_fault fault;
	} rows[] = {
		{QUANTITY_NUMBER, "", QUANTITY_NO_NUMBER},
		{QUANTITY_NUMBER, "8080abc", QUANTITY_NO_NUMBER},
		{QUANTITY_NUMBER, "08080", QUANTITY_LEADING_ZERO},
		{QUANTITY_NUMBER, "00", QUANTITY_LEADING_ZERO},
		{QUANTITY_NUMBER, "0x1F90", QUANTITY_NO_NUMBER},
		{QUANTITY_NUMBER, "1e3", QUANTITY_NO_NUMBER},
		{QUANTITY_NUMBER, "1_000", QUANTITY_NO_NUMBER},
		{QUANTITY_NUMBER, "+1", QUANTITY_NO_NUMBER},
		{QUANTITY_NUMBER, "-1", QUANTITY_NO_NUMBER},
		{QUANTITY_NUMBER, " 1", QUANTITY_NO_NUMBER},
		{QUANTITY_NUMBER, "1 ", QUANTITY_NO_NUMBER},
		{QUANTITY_NUMBER, "1.0", QUANTITY_NO_NUMBER},
		{QUANTITY_NUMBER, "10s", QUANTITY_NO_NUMBER},
		{QUANTITY_NUMBER, "18446744073709551616", QUANTITY_TOO_LARGE},
		{QUANTITY_NUMBER, "99999999999999999999999999", QUANTITY_TOO_LARGE},
		{QUANTITY_DURATION, "10", QUANTITY_NO_UNIT},
		{QUANTITY_DURATION, "0", QUANTITY_NO_UNIT},
		{QUANTITY_DURATION, "s", QUANTITY_NO_NUMBER},
		{QUANTITY_DURATION, "10S", QUANTITY_BAD_UNIT},
		{QUANTITY_DURATION, "10 s", QUANTITY_BAD_UNIT},
		{QUANTITY_DURATION, "1m30s", QUANTITY_BAD_UNIT},
		{QUANTITY_DURATION, "1.5s", QUANTITY_BAD_UNIT},
		{QUANTITY_DURATION, "10us", QUANTITY_BAD_UNIT},
		{QUANTITY_DURATION, "1d", QUANTITY_BAD_UNIT},
		{QUANTITY_DURATION, "010s", QUANTITY_LEADING_ZERO},
		{QUANTITY_DURATION, "18446744073709551615h", QUANTITY_TOO_LARGE},
		{QUANTITY_SIZE, "64K", QUANTITY_BAD_UNIT},
		{QUANTITY_SIZE, "64kb", QUANTITY_BAD_UNIT},
		{QUANTITY_SIZE, "64k ", QUANTITY_BAD_UNIT},
		{QUANTITY_SIZE, "0x10", QUANTITY_BAD_UNIT},
		{QUANTITY_SIZE, "18014398509481985k", QUANTITY_TOO_LARGE},
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		uint64_t quantity = 99;
		cr_expect_eq(quantity_parse(rows[i].kind, rows[i].text, strlen(rows[i].text), &quantity),
			rows[i].fault, "%s", rows[i].text);
		cr_expect_eq(quantity, 99, "%s must leave the result alone", rows[i].text);
	}
}

Test(quantity, only_the_given_bytes_are_read)
{
	uint64_t quantity = 0;
	cr_expect_eq(quantity_parse(QUANTITY_NUMBER, "123abc", 2, &quantity), QUANTITY_GOOD);
	cr_expect_eq(quantity, 12);
}

Test(quantity, format)
{
	static const struct good_quantity rows[] = {
		{QUANTITY_NUMBER, "65536", 65536},
		{QUANTITY_DURATION, "0ms", 0},
		{QUANTITY_DURATION, "1500ms", 1500},
		{QUANTITY_DURATION, "90s", 90000},
		{QUANTITY_DURATION, "1m", 60000},
		{QUANTITY_DURATION, "24h", 86400000},
		{QUANTITY_DURATION, "18446744073709551615ms", UINT64_MAX},
		{QUANTITY_SIZE, "0", 0},
		{QUANTITY_SIZE, "65535", 65535},
		{QUANTITY_SIZE, "64k", 65536},
		{QUANTITY_SIZE, "3m", 3145728},
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char text[QUANTITY_TEXT_MAX];
		cr_expect_str_eq(quantity_format(rows[i].kind, rows[i].quantity, text), rows[i].text);
	}
}
