"""Takes calls of SQL on two sides and compares their answers, and the contents of the database after them."""

from sequence import Found
from sql_wire import comparable

# The schema leaves out workerd's own tables, and those in which FTS5 keeps its index, whose format depends on the
# version.
SCHEMA = r"""SELECT type, name, tbl_name, sql FROM sqlite_schema AS s
WHERE name NOT LIKE '\_cf\_%' ESCAPE '\' AND name NOT LIKE 'sqlite\_stat%' ESCAPE '\' AND NOT EXISTS (
  SELECT 1 FROM sqlite_schema AS f WHERE f.sql LIKE 'CREATE VIRTUAL%' AND s.name LIKE f.name || '\_%' ESCAPE '\')
ORDER BY type, name"""


class SqlSequence:
    """reference, subject: the sides. tally counts the comparisons."""

    def __init__(self, reference, subject, name, tally):
        self._objects = [side.open(name, False) for side in (reference, subject)]
        self._tally = tally
        self._index = 0

    def run(self, steps):
        try:
            for self._index, step in enumerate(steps):
                self.take(step)
            self._index = len(steps)
            self._compare_databases()
        except (RuntimeError, OSError) as error:  # a side failed, which no answer may do
            raise Found(self._index, repr(error), None, None) from error

    def answers(self, step):
        return [one.do(step) for one in self._objects]

    def take(self, step):
        """Takes the step and returns the subject's answer; raises Found."""
        reference, subject = self.answers(step)
        unordered = [statement.get("unordered", False) for statement in step.get("statements", [])]
        self._tally.compared["SQL statements"] += len(unordered)
        outcome = comparable(subject, unordered)
        if "failed" in outcome:
            self._tally.compared[f"SQL statements that fail: {outcome['kind']}"] += 1
        if comparable(reference, unordered) != outcome:
            raise Found(self._index, step["op"], reference, subject)
        return subject

    def _query(self, sql):
        return self.take({"op": "sql", "statements": [{"sql": sql, "unordered": True}]})["value"][0]["rows"]

    def _compare_databases(self):
        """Returns all rows, with the kind of each value, and all digits of integers, text and blobs."""
        for kind, name, _, sql in self._query(SCHEMA):
            if kind == "table" and not sql.startswith("CREATE VIRTUAL"):
                columns = [row[0] for row in self._query(f"SELECT name FROM pragma_table_xinfo('{name}')")]
                values = ", ".join(f"typeof({column}), CASE typeof({column}) WHEN 'real' THEN {column} ELSE quote({column}) END"
                                   for column in columns)
                self._query(f"SELECT {values} FROM {name}")
                if "WITHOUT ROWID" not in sql:
                    self._query(f"PRAGMA quick_check({name})")

