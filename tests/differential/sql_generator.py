"""Random sequences of calls of SQL. A sequence follows from its seed alone, and a part of it can run without the rest.

A step is {"op": "sql", "statements": [{"sql": ..., "params": [...]}]}, which is one call and one transaction, or
{"op": "unload"}. A statement whose rows may come in any order has "unordered".
"""

import random

from sql_expressions import WORDS, Expressions, quoted
from sql_refused import BROKEN, REFUSED
from sql_schema import Schema

STATEMENTS_OF_A_CALL = [1, 1, 1, 2, 2, 3, 4]
WEIGHTS = {
    "insert": 20,
    "upsert": 6,
    "update": 10,
    "delete": 5,
    "select": 20,
    "grouped": 8,
    "windowed": 7,
    "joined": 7,
    "recursive": 4,
    "compound": 4,
    "json_table": 4,
    "full_text": 10,
    "told": 5,
    "broken": 4,
    "refused": 4,
}
FIRST_DDL = 4
WINDOWS = ["row_number()", "rank()", "dense_rank()", "ntile(3)", "percent_rank()", "cume_dist()", "lag({0})", "lead({0}, 2)",
           "first_value({0})", "last_value({0})", "nth_value({0}, 2)", "count(*)", "max({0})", "group_concat({1}, '/')"]
FRAMES = ["", "", " ROWS BETWEEN 1 PRECEDING AND 1 FOLLOWING", " GROUPS CURRENT ROW", " RANGE UNBOUNDED PRECEDING",
          " ROWS UNBOUNDED PRECEDING EXCLUDE CURRENT ROW"]
MATCHES = ["alpha", "al*", "alpha OR beta", "alpha AND beta", "alpha NOT beta", '"zeta eta"', "title: gamma", "NEAR(alpha beta, 5)",
           "^alpha", "none", '"', "épsilon", "title + body"]


class SqlGenerator:
    def __init__(self, seed):
        self._random = random.Random(seed)
        self._schema = Schema(self._random)
        self._expressions = Expressions(self._random)

    def steps(self, count):
        """Returns calls with `count` statements in all, or a few more."""
        steps = []
        for number in range(FIRST_DDL):
            steps.append(self._call([{"sql": self._schema.statement()}]))
        done = FIRST_DDL
        while done < count:
            if self._chance(0.02):
                steps.append({"op": "unload"})
                continue
            if self._chance(0.15):
                statements = [{"sql": self._schema.statement()}]
            else:
                statements = [self._statement() for _ in range(self._random.choice(STATEMENTS_OF_A_CALL))]
                if self._chance(0.1):
                    statements += self._insert_one()
            done += len(statements)
            steps.append(self._call(statements))
        return steps

    @staticmethod
    def _call(statements):
        return {"op": "sql", "statements": statements}

    def _chance(self, probability):
        return self._random.random() < probability

    def _statement(self):
        kinds, weights = zip(*WEIGHTS.items())
        kind = self._random.choices(kinds, weights)[0]
        self._expressions.begin(may_bind=True)
        made = getattr(self, "_" + kind)()
        statement = made if isinstance(made, dict) else {"sql": made}
        if self._expressions.params:
            statement["params"] = self._expressions.params
        return statement

    # --- Parts

    def _table(self):
        return self._random.choice(self._schema.tables)

    def _source(self):
        return self._random.choice(self._schema.tables * 3 + self._schema.views)

    def _where(self, pairs, probability=0.7):
        return f" WHERE {self._expressions.condition(pairs)}" if self._chance(probability) else ""

    def _values(self, columns):
        values = []
        for column in columns:
            if not column.is_rowid and self._chance(0.07):
                values.append(self._expressions.literal(self._random.choice(["text", "integer", "blob"])))
            else:
                values.append(self._expressions.for_column(column, [], 1))
        return f"({', '.join(values)})"

    def _returning(self, statement, table):
        if not self._chance(0.35):
            return statement
        terms = self._random.choice(["*", ", ".join(f"{self._expressions.any(table.pairs(), 1)} AS r{i}" for i in range(2))])
        return {"sql": f"{statement} RETURNING {terms}", "unordered": True}

    def _ordered(self, count, limit=True):
        """Orders by all columns, so that the version decides no order."""
        by = ", ".join(f"{number}{self._random.choice(['', ' DESC', ' NULLS LAST'])}" for number in range(1, count + 1))
        sql = f" ORDER BY {by}"
        if limit and self._chance(0.4):
            sql += f" LIMIT {self._random.randint(0, 6)}{self._random.choice(['', ' OFFSET 1'])}"
        return sql

    # --- Writing

    def _insert_one(self):
        """Returns an INSERT, and a SELECT of its effect. Where a trigger suppresses the INSERT, the SELECT would tell
        of an
        earlier one, on which the sides differ."""
        self._expressions.begin(may_bind=False)
        table = self._table()
        column = self._random.choice(table.writable)
        insert = f"INSERT INTO {table.name}({column.name}) VALUES {self._values([column])}"
        row_id = ", CASE WHEN changes() > 0 THEN last_insert_rowid() END" if table.has_rowid else ""
        return [{"sql": insert}, {"sql": f"SELECT changes(){row_id}"}]

    def _insert(self):
        table = self._table()
        columns = [column for column in table.writable if self._chance(0.85)] or table.writable[:1]
        how = self._random.choice(["INSERT", "INSERT", "INSERT", "INSERT OR IGNORE", "INSERT OR REPLACE", "REPLACE", "INSERT OR FAIL", "INSERT OR ABORT"])
        into = f"{how} INTO {table.name}({', '.join(column.name for column in columns)})"
        shape = self._random.random()
        if shape < 0.05:
            return f"{how} INTO {table.name} DEFAULT VALUES"
        if shape < 0.15:
            source = self._source()
            terms = ", ".join(self._expressions.for_column(column, source.pairs(), 1) for column in columns)
            return self._returning(f"{into} SELECT {terms} FROM {source.name}{self._where(source.pairs())}"
                                   f"{self._ordered(len(columns), limit=False)} LIMIT 3", table)
        rows = ", ".join(self._values(columns) for _ in range(self._random.choice([1, 1, 2, 3, 6])))
        return self._returning(f"{into} VALUES {rows}", table)

    def _upsert(self):
        table = self._table()
        if not table.unique:
            return self._insert()
        columns = table.writable
        target = self._random.choice(table.unique)
        changed = self._random.choice(columns)
        excluded = [(f"excluded.{column.name}", column.kind) for column in columns]
        action = "DO NOTHING"
        if self._chance(0.75):
            action = f"DO UPDATE SET {changed.name} = {self._expressions.for_column(changed, excluded, 1)}"
            if self._chance(0.3):
                action += f" WHERE {self._expressions.condition(excluded, 1)}"
        return self._returning(f"INSERT INTO {table.name}({', '.join(column.name for column in columns)}) "
                               f"VALUES {self._values(columns)}, {self._values(columns)} ON CONFLICT({target}) {action}", table)

    def _update(self):
        table = self._table()
        how = self._random.choice(["UPDATE", "UPDATE", "UPDATE", "UPDATE OR IGNORE", "UPDATE OR REPLACE"])
        changed = self._random.sample(table.writable, self._random.choice([1, 1, 2][: len(table.writable)]))
        terms = ", ".join(f"{column.name} = {self._expressions.for_column(column, table.pairs())}" for column in changed)
        return self._returning(f"{how} {table.name} SET {terms}{self._where(table.pairs(), 0.85)}", table)

    def _delete(self):
        table = self._table()
        return self._returning(f"DELETE FROM {table.name}{self._where(table.pairs(), 0.97)}", table)

    # --- Reading

    def _select(self):
        source = self._source()
        count = self._random.randint(1, 4)
        terms = ", ".join(self._expressions.any(source.pairs()) for _ in range(count))
        distinct = "DISTINCT " if self._chance(0.2) else ""
        return f"SELECT {distinct}{terms} FROM {source.name}{self._where(source.pairs())}{self._ordered(count)}"

    def _grouped(self):
        source = self._source()
        key = self._random.choice(source.pairs())[0]
        aggregates = [self._expressions.aggregate(source.pairs()) for _ in range(self._random.randint(1, 3))]
        if self._chance(0.3):
            return f"SELECT {', '.join(aggregates)} FROM {source.name}{self._where(source.pairs(), 0.4)}"
        having = f" HAVING count(*) > {self._random.randint(0, 2)}" if self._chance(0.3) else ""
        return (f"SELECT {', '.join([key] + aggregates)} FROM {source.name}{self._where(source.pairs(), 0.4)} "
                f"GROUP BY {key} COLLATE BINARY{having}{self._ordered(1 + len(aggregates))}")

    def _windowed(self):
        source = self._source()
        pairs = source.pairs()
        all_columns = ", ".join(f"{name} COLLATE BINARY" for name, _ in pairs)
        partition = f"PARTITION BY {self._random.choice(pairs)[0]} COLLATE BINARY " if self._chance(0.5) else ""
        texts = [name for name, kind in pairs if kind in ("integer", "text")] or ["'x'"]
        function = self._random.choice(WINDOWS).format(self._random.choice(pairs)[0], self._random.choice(texts))
        frame = self._random.choice(FRAMES)
        return (f"SELECT {function} OVER ({partition}ORDER BY {all_columns}{frame}), "
                f"{', '.join(name for name, _ in pairs)} FROM {source.name}{self._ordered(1 + len(pairs))}")

    def _joined(self):
        left, right = self._source(), self._source()
        pairs = left.pairs("l.") + right.pairs("r.")
        kind = self._random.choice(["JOIN", "LEFT JOIN", "RIGHT JOIN", "FULL JOIN", "CROSS JOIN"])
        terms = [self._expressions.any(pairs, 1) for _ in range(self._random.randint(1, 3))]
        if self._chance(0.3):
            subquery = f"SELECT count(*) FROM {right.name} s WHERE {self._expressions.condition(left.pairs('l.') + right.pairs('s.'), 1)}"
            terms.append(f"({subquery})")
        on = "" if kind == "CROSS JOIN" else f" ON {self._expressions.condition(pairs, 1)}"
        return (f"SELECT {', '.join(terms)} FROM {left.name} l {kind} {right.name} r{on}{self._where(pairs, 0.4)}"
                f"{self._ordered(len(terms), limit=False)} LIMIT 50")

    def _recursive(self):
        end, step = self._random.randint(0, 30), self._random.randint(1, 4)
        term = self._expressions.any([("n", "integer"), ("s", "text")], 1)
        return (f"WITH RECURSIVE c(n, s) AS {self._random.choice(['', 'MATERIALIZED ', 'NOT MATERIALIZED '])}"
                f"(SELECT 1, 'x' UNION ALL SELECT n + {step}, substr(s || n, 1, 20) FROM c WHERE n < {end}) "
                f"SELECT n, s, {term} FROM c{self._ordered(3)}")

    def _compound(self):
        parts = []
        for _ in range(self._random.randint(2, 4)):
            source = self._source()
            # The conditions cannot fail, as a version may not look at all rows. They compare text, as versions also
            # differ in how they combine the kinds of the parts' columns.
            first, second = self._random.choice(source.pairs())[0], self._expressions.any(source.pairs(), 0)
            parts.append(f"SELECT quote({first}) AS a, quote({second}) AS b FROM {source.name}")
        sql = parts[0]
        for part in parts[1:]:
            sql += f" {self._random.choice(['UNION', 'UNION ALL', 'INTERSECT', 'EXCEPT'])} {part}"
        return f"WITH w(a, b) AS ({sql}) SELECT a, b FROM w{self._ordered(2)}"

    def _json_table(self):
        source = self._source()
        documents = [name for name, kind in source.pairs() if kind == "json"] or ["'[1,{\"a\":2}]'"]
        document = self._random.choice(documents)
        function = self._random.choice(["json_each", "json_tree"])
        if self._chance(0.3):
            texts = [name for name, kind in source.pairs() if kind in ("text", "integer")] or ["1"]
            return f"SELECT json_group_array(v), json_group_object(v, 1) FROM (SELECT DISTINCT {texts[0]} AS v FROM {source.name} WHERE v IS NOT NULL ORDER BY 1)"
        return (f"SELECT j.key, j.value, j.type, j.atom, j.fullkey, j.path FROM {source.name} s, {function}(s.{document}) j "
                f"WHERE json_valid(s.{document}){self._ordered(6)}").replace("s.'", "'")

    def _full_text(self):
        if not self._schema.full_text:
            return self._select()
        name = self._random.choice(self._schema.full_text)
        text = lambda: self._expressions.literal("text") if self._chance(0.3) else quoted(" ".join(self._random.choices(WORDS, k=4)))
        shape = self._random.randrange(12)
        if shape < 5:
            rows = ", ".join(f"({self._random.randint(1, 12)}, {text()}, {text()})" for _ in range(self._random.randint(1, 3)))
            return f"INSERT OR {self._random.choice(['REPLACE', 'ABORT'])} INTO {name}(rowid, title, body) VALUES {rows}"
        if shape == 5:
            return f"UPDATE {name} SET body = {text()} WHERE rowid = {self._random.randint(1, 12)}"
        if shape == 6:
            return f"DELETE FROM {name} WHERE rowid = {self._random.randint(1, 12)}"
        if shape == 7:
            return f"INSERT INTO {name}({name}) VALUES ({quoted(self._random.choice(['optimize', 'rebuild', 'integrity-check', 'merge', 'nothing']))})"
        match = quoted(self._random.choice(MATCHES))
        terms = self._random.choice(["rowid, title", f"rowid, highlight({name}, 0, '[', ']')", f"rowid, snippet({name}, 1, '<', '>', '..', 3)", "count(*), 1"])
        if shape == 8:
            return f"SELECT rowid FROM {name} WHERE {name} MATCH {match} ORDER BY rank, rowid"
        if shape == 9:
            return f"SELECT rowid, bm25({name}, 2.0) < 0 FROM {name}({match}) ORDER BY rowid"
        return f"SELECT {terms} FROM {name} WHERE {name} MATCH {match} ORDER BY 1"

    # --- Queries about the database, and statements that fail

    def _told(self):
        table = self._table()
        pragmas = ["table_info", "table_xinfo", "index_list", "foreign_key_list", "foreign_key_check"]
        if table.has_rowid:
            pragmas.append("quick_check")
        return self._random.choice(
            [
                f"PRAGMA {self._random.choice(pragmas)}({table.name})",
                f"SELECT name, type, pk FROM pragma_table_info({quoted(table.name)})",
                {"sql": "SELECT name, ncol, wr, strict FROM pragma_table_list WHERE schema = 'main' AND name NOT LIKE 'sqlite_stat%'", "unordered": True},
                "SELECT typeof(changes()), typeof(total_changes()), typeof(random())",
                f"SELECT count(*) FROM sqlite_schema WHERE tbl_name = {quoted(table.name)}",
                "PRAGMA foreign_key_check",
                f"ANALYZE {table.name}",
                f"REINDEX {table.name}",
                "PRAGMA optimize",
                "PRAGMA defer_foreign_keys",
            ]
        )

    def _broken(self):
        table = self._table()
        column = self._random.choice(table.columns).name
        return self._random.choice(BROKEN).replace("{table}", table.name).replace("{column}", column)

    def _refused(self):
        table = self._table()
        return self._random.choice(REFUSED).replace("{table}", table.name)
