"""Random expressions of SQL, of a given kind, over the columns in reach.

Both SQLites must give the same bytes, and their versions differ. Reals are therefore quarters, which are exact in any
arithmetic done here and have the same digits in any version; dates are fixed; JSON has its syntax before JSON5; and
only functions that both sides allow are used. sql_differences.py has the cases that are left out here.
"""

import base64
import json

KINDS = ["integer", "real", "text", "blob", "json"]
WORDS = ["alpha", "beta", "gamma", "delta", "Alpha", "BETA", "épsilon", "zeta eta", "a%b_c", "it's", "", "10", "9", "😀"]
INTEGERS = [0, 1, -1, 2, 3, 5, 7, 10, 42, 100, -100, 255, 65536, 2**31, -(2**31), 2**53 + 1, 2**62 + 1, -(2**63) + 1]
DATES = ["2024-02-29", "2000-01-01 00:00:00", "1999-12-31 23:59:59", "2024-03-10T12:34:56", "12:00", "2460000.5", "no date"]
MODIFIERS = ["+1 day", "-1 month", "+1 year", "start of month", "start of year", "weekday 0", "+90 minutes", "no modifier"]
FORMATS = ["%Y-%m-%d", "%H:%M:%S", "%j %w", "%s", "%d.%m.%Y", "%W %%"]
DOCUMENTS = [[], {}, [1, 2, 3], {"a": 1, "b": [1, {"c": "x"}], "d": None}, {"a": {"b": [True, False]}}, "text", 5, [[1], [2, "é"]]]
PATHS = ["$", "$.a", "$.b", "$.b[1].c", "$[0]", "$[#-1]", "$.a.b", "$.none"]
COLLATIONS = ["BINARY", "NOCASE", "RTRIM"]


def quoted(text):
    return "'" + text.replace("'", "''") + "'"


class Expressions:
    """Call begin() before each statement; `params` then has the values bound as ?1, ?2, ..."""

    def __init__(self, random):
        self._random = random
        self.begin(may_bind=True)

    def begin(self, may_bind):
        self.params = []
        self._may_bind = may_bind

    def chance(self, probability):
        return self._random.random() < probability

    def choice(self, values):
        return self._random.choice(values)

    # --- Literals

    def literal(self, kind):
        """Returns a literal, or a parameter."""
        if self.chance(0.06):
            return "NULL"
        value = getattr(self, "_a_" + kind)()
        if not self._may_bind or len(self.params) >= 20 or self.chance(0.6):
            return self._written(kind, value)
        # An integer is bound as text: JavaScript has no integers.
        bound = {"integer": str, "real": float, "blob": lambda data: {"blob": base64.b64encode(data).decode()}}
        self.params.append(bound.get(kind, str)(value))
        parameter = f"?{len(self.params)}"
        return f"CAST({parameter} AS INTEGER)" if kind == "integer" else parameter

    def _a_integer(self):
        return self.choice(INTEGERS) if self.chance(0.2) else self._random.randint(-5, 12)

    def _a_real(self):
        return self._random.randint(-400, 400) / 4

    def _a_text(self):
        return self.choice(WORDS)

    def _a_blob(self):
        # The bytes are ASCII: where a blob becomes text, the text is UTF-8.
        return bytes(self._random.randrange(1, 128) for _ in range(self.choice([0, 1, 2, 5])))

    def _a_json(self):
        return json.dumps(self.choice(DOCUMENTS), ensure_ascii=False)

    @staticmethod
    def _written(kind, value):
        if kind in ("integer", "real"):
            return str(value)
        return f"x'{value.hex()}'" if kind == "blob" else quoted(value)

    # --- Expressions

    def value(self, kind, columns, depth=2):
        """columns: (SQL, kind) of the columns that may be used."""
        fitting = [sql for sql, its_kind in columns if its_kind == kind]
        if fitting and self.chance(0.35):
            return self.choice(fitting)
        if depth <= 0 or self.chance(0.3):
            return self.literal(kind)
        if self.chance(0.15):
            return self._conditional(kind, columns, depth - 1)
        inner = lambda wanted: self.value(wanted, columns, depth - 1)
        return getattr(self, "_some_" + kind)(inner)

    def for_column(self, column, columns, depth=2):
        """Returns a value to write. A row's number stays small, as SQLite chooses one at random after the greatest."""
        if column.is_rowid:
            return "NULL" if self.chance(0.1) else str(self._random.randint(-2, 40))
        return self.value(column.kind, columns, depth)

    def any(self, columns, depth=2):
        kind = self.choice(KINDS)
        return self.value(kind, columns, depth)

    def condition(self, columns, depth=2):
        inner = lambda wanted: self.value(wanted, columns, depth - 1)
        kind = self.choice(KINDS)
        shape = self._random.randrange(12)
        if shape < 4:
            return f"{inner(kind)} {self.choice(['=', '<', '<=', '>', '>=', '<>', 'IS', 'IS NOT'])} {inner(kind)}"
        if shape == 4:
            # The operand is no literal: newer versions know whether one is NULL, and do not evaluate the rest.
            tested = self.choice(columns)[0] if columns else f"nullif({inner(kind)}, 1)"
            return f"{tested} IS {self.choice(['', 'NOT '])}NULL"
        if shape == 5:
            return f"{inner(kind)} BETWEEN {inner(kind)} AND {inner(kind)}"
        if shape == 6:
            return f"{inner(kind)} {self.choice(['', 'NOT '])}IN ({', '.join(inner(kind) for _ in range(3))})"
        if shape == 7:
            return f"CAST({inner('text')} AS TEXT) {self.choice(['LIKE', 'NOT LIKE'])} {quoted(self.choice(['a%', '%a', '_e%', '%', 'A%']))}"
        if shape == 8:
            return f"CAST({inner('text')} AS TEXT) GLOB {quoted(self.choice(['a*', '*a*', '[a-d]*', '?e*']))}"
        if shape == 9 and depth > 0:
            return f"({self.condition(columns, depth - 1)} {self.choice(['AND', 'OR'])} {self.condition(columns, depth - 1)})"
        if shape == 10 and depth > 0:
            return f"NOT ({self.condition(columns, depth - 1)})"
        return f"{inner('text')} = {inner('text')} COLLATE {self.choice(COLLATIONS)}"

    def _conditional(self, kind, columns, depth):
        inner = lambda: self.value(kind, columns, depth)
        return self.choice(
            [
                lambda: f"CASE WHEN {self.condition(columns, depth)} THEN {inner()} ELSE {inner()} END",
                lambda: f"coalesce({inner()}, {inner()})",
                lambda: f"ifnull({inner()}, {inner()})",
                lambda: f"nullif({inner()}, {inner()})",
                lambda: f"iif({self.condition(columns, depth)}, {inner()}, {inner()})",
                lambda: f"{self.choice(['max', 'min'])}({inner()}, {inner()})",
            ]
        )()

    def _some_integer(self, inner):
        return self.choice(
            [
                lambda: f"({inner('integer')} {self.choice(['+', '-', '*', '/', '%', '&', '|', '<<', '>>'])} {inner('integer')})",
                lambda: f"abs({inner('integer')})",
                lambda: f"(-{inner('integer')})",
                lambda: f"(~{inner('integer')})",
                lambda: f"length({inner('text')})",
                lambda: f"length({inner('blob')})",
                lambda: f"instr({inner('text')}, {inner('text')})",
                lambda: f"unicode({inner('text')})",
                lambda: f"sign({inner('real')})",
                lambda: f"CAST({inner('real')} AS INTEGER)",
                lambda: f"CAST({inner('text')} AS INTEGER)",
                lambda: f"json_array_length({inner('json')})",
                lambda: f"json_valid(ifnull({inner('text')}, ''))",
                lambda: f"unixepoch({quoted(self.choice(DATES))})",
                lambda: f"({inner('text')} = {inner('text')})",
            ]
        )()

    def _some_real(self, inner):
        return self.choice(
            [
                lambda: f"({inner('real')} {self.choice(['+', '-'])} {inner('real')})",
                lambda: f"({inner('real')} * 0.5)",
                lambda: f"abs({inner('real')})",
                lambda: f"round({inner('real')})",
                lambda: f"{self.choice(['floor', 'ceil', 'trunc'])}({inner('real')})",
                lambda: f"julianday({quoted(self.choice(DATES[:2]))})",
                lambda: f"sqrt({self.choice(['4', '6.25', '-1', '0'])})",
                lambda: f"mod({inner('real')}, {self.choice(['2', '0.5', '-3', '0'])})",
                lambda: f"CAST({inner('integer')} AS REAL)",
            ]
        )()

    def _some_text(self, inner):
        position = lambda: str(self._random.randint(-4, 4))
        return self.choice(
            [
                lambda: f"({inner('text')} || {inner('text')})",
                lambda: f"{self.choice(['upper', 'lower', 'trim', 'ltrim', 'rtrim', 'quote', 'typeof'])}({inner('text')})",
                lambda: f"trim({inner('text')}, {quoted(self.choice(['a', 'aé', '']))})",
                lambda: f"substr({inner('text')}, {position()}, {position()})",
                lambda: f"replace({inner('text')}, {inner('text')}, {inner('text')})",
                lambda: f"hex({inner('blob')})",
                lambda: f"quote({inner('blob')})",
                lambda: f"typeof({inner(self.choice(KINDS))})",
                lambda: f"CAST({inner(self.choice(['integer', 'real']))} AS TEXT)",
                lambda: f"printf({quoted(self.choice(['%d|%s', '%5d|%-6s|', '%04d,%2s', '%x %q', '%+d %Q', '%,d %c']))}, "
                f"{inner('integer')}, {inner('text')})",
                lambda: f"char({self._random.randint(32, 120)}, 233, 128512)",
                lambda: f"{self.choice(['date', 'time', 'datetime'])}({quoted(self.choice(DATES))}"
                f"{self.choice(['', ', ' + quoted(self.choice(MODIFIERS))])})",
                lambda: f"strftime({quoted(self.choice(FORMATS))}, {quoted(self.choice(DATES))})",
                lambda: f"json_type({inner('json')}, {quoted(self.choice(PATHS))})",
                lambda: f"json_extract({inner('json')}, {quoted(self.choice(PATHS))})",
                lambda: f"({inner('json')} {self.choice(['->', '->>'])} {quoted(self.choice(PATHS + ['a']))})",
                lambda: f"CAST({inner('text')} AS TEXT)",
            ]
        )()

    def _some_blob(self, inner):
        return self.choice(
            [
                lambda: f"CAST({inner('text')} AS BLOB)",
                lambda: f"substr({self.literal('blob')}, {self._random.randint(-2, 3)})",
                lambda: f"zeroblob({self._random.randint(0, 4)})",
            ]
        )()

    def _some_json(self, inner):
        path = lambda: quoted(self.choice(PATHS[1:]))
        return self.choice(
            [
                lambda: f"json({inner('json')})",
                lambda: f"json_array({inner('integer')}, {inner('text')}, json({inner('json')}))",
                lambda: f"json_object('k', {inner('text')}, 'n', {inner('integer')}, 'r', {inner('real')})",
                lambda: f"{self.choice(['json_set', 'json_insert', 'json_replace'])}({inner('json')}, {path()}, {inner('integer')})",
                lambda: f"json_remove({inner('json')}, {path()})",
                lambda: f"json_patch({inner('json')}, {inner('json')})",
                lambda: f"json_quote({inner('text')})",
            ]
        )()

    def aggregate(self, columns):
        """Returns an aggregate that does not depend on the order of the rows."""
        inner = lambda kind: self.value(kind, columns, 1)
        kind = self.choice(KINDS)
        sql = self.choice(
            [
                lambda: "count(*)",
                lambda: f"count({inner(kind)})",
                lambda: f"count(DISTINCT {inner(kind)})",
                lambda: f"sum({inner('integer')})",
                lambda: f"sum({inner('real')})",
                lambda: f"total({inner('real')})",
                lambda: f"{self.choice(['min', 'max'])}({inner(kind)})",
                lambda: f"avg({inner('real')})",
            ]
        )()
        return f"{sql} FILTER (WHERE {self.condition(columns, 1)})" if self.chance(0.15) else sql
