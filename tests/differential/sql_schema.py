"""Random schemas of SQL: the tables that exist if all statements succeed, and the statements that make and change
them."""

import dataclasses

from sql_expressions import COLLATIONS, Expressions

TABLES_MAX = 5
COLUMNS_MAX = 8
TYPES = {"integer": ["INTEGER", "INT", "BIGINT"], "real": ["REAL", "DOUBLE"], "text": ["TEXT", "VARCHAR(10)", ""], "blob": ["BLOB", ""], "json": ["TEXT"]}
STRICT_TYPES = {"integer": "INTEGER", "real": "REAL", "text": "TEXT", "blob": "BLOB", "json": "ANY"}
ACTIONS = ["CASCADE", "SET NULL", "SET DEFAULT", "RESTRICT", "NO ACTION"]


@dataclasses.dataclass
class Column:
    name: str
    kind: str
    generated: bool = False
    is_rowid: bool = False


@dataclasses.dataclass
class Table:
    """A table or view that SELECT may read. unique: the columns that a conflict may be about."""

    name: str
    columns: list
    unique: list = dataclasses.field(default_factory=list)
    is_view: bool = False
    has_rowid: bool = True

    def pairs(self, prefix=""):
        return [(prefix + column.name, column.kind) for column in self.columns]

    @property
    def writable(self):
        return [column for column in self.columns if not column.generated]


class Schema:
    def __init__(self, random):
        self._random = random
        self._expressions = Expressions(random)
        self._names = 0
        self.tables = []
        self.views = []
        self._indexes = []
        self._triggers = []
        self.full_text = []

    def _chance(self, probability):
        return self._random.random() < probability

    def _name(self, prefix):
        self._names += 1
        return f"{prefix}{self._names}"

    def _kind(self):
        return self._random.choices(["integer", "real", "text", "blob", "json"], [5, 3, 5, 2, 2])[0]

    def statement(self):
        """Adds a statement of DDL, which is expected to succeed."""
        self._expressions.begin(may_bind=False)
        if len(self.tables) < 2:
            return self._create_table()
        shapes = [self._create_index, self._create_view, self._create_trigger, self._add_column, self._rename_column,
                  self._rename_table, self._drop_column, self._drop_something, self._create_full_text]
        if len(self.tables) < TABLES_MAX:
            shapes += [self._create_table] * 4
        return self._random.choice(shapes)()

    # --- Tables

    def _create_table(self):
        strict, table = self._chance(0.25), Table(self._name("t"), [])
        definitions, constraints = [], []
        key = self._random.choice(["rowid", "rowid", "autoincrement", "text", "pair", "none"])
        if key in ("rowid", "autoincrement"):
            definitions.append("id INTEGER PRIMARY KEY" + (" AUTOINCREMENT" if key == "autoincrement" else ""))
            table.columns.append(Column("id", "integer", is_rowid=True))
            table.unique.append("id")
        elif key == "text":
            definitions.append("id TEXT PRIMARY KEY" + self._random.choice(["", " NOT NULL", " COLLATE NOCASE"]))
            table.columns.append(Column("id", "text"))
            table.unique.append("id")
        for _ in range(self._random.randint(2, 5)):
            definitions.append(self._column(table, strict))
        if key == "pair":
            first, second = self._random.sample([column.name for column in table.columns if not column.generated], 2)
            constraints.append(f"PRIMARY KEY ({first}, {second})")
            table.unique.append(f"{first}, {second}")
        table.has_rowid = not (key in ("text", "pair") and self._chance(0.5))
        if self._chance(0.3):
            constraints.append(f"CHECK ({self._expressions.condition(table.pairs(), 1)} OR {table.columns[0].name} IS NULL)")
        if self._chance(0.35):
            constraints.append(self._foreign_key(table))
        options = [option for option, on in (("STRICT", strict), ("WITHOUT ROWID", not table.has_rowid)) if on]
        self.tables.append(table)
        sql = f"CREATE TABLE {self._random.choice(['', 'IF NOT EXISTS '])}{table.name}({', '.join(definitions + constraints)})"
        return f"{sql} {', '.join(options)}".rstrip()

    def _type(self, kind, strict):
        return STRICT_TYPES[kind] if strict else self._random.choice(TYPES[kind])

    def _column(self, table, strict):
        kind = self._kind()
        column = Column(self._name("c"), kind)
        parts = [column.name, self._type(kind, strict)]
        if len(table.writable) >= 2 and self._chance(0.12):
            column.generated = True
            parts.append(f"GENERATED ALWAYS AS ({self._expressions.value(kind, table.pairs(), 1)}) {self._random.choice(['STORED', 'VIRTUAL'])}")
        else:
            if self._chance(0.15):
                parts.append("UNIQUE")
                table.unique.append(column.name)
            if self._chance(0.1):
                parts.append(f"NOT NULL DEFAULT {self._default(kind)}")
            elif self._chance(0.25):
                parts.append(f"DEFAULT {self._default(kind)}")
            if kind == "text" and self._chance(0.2):
                parts.append(f"COLLATE {self._random.choice(COLLATIONS)}")
        table.columns.append(column)
        return " ".join(part for part in parts if part)

    def _default(self, kind):
        literal = self._expressions.literal(kind)
        return "''" if literal == "NULL" else f"({literal})"

    def _foreign_key(self, table):
        parents = [parent for parent in self.tables if parent.unique] or [table]
        parent = self._random.choice(parents)
        if not parent.unique or "," in parent.unique[0]:
            return "CHECK (1)"
        child = self._random.choice(table.writable).name
        actions = "".join(f" ON {on} {self._random.choice(ACTIONS)}" for on in ("DELETE", "UPDATE") if self._chance(0.7))
        return f"FOREIGN KEY ({child}) REFERENCES {parent.name}({parent.unique[0]}){actions}"

    # --- Indexes, views, triggers

    def _create_index(self):
        table = self._random.choice(self.tables)
        name = self._name("i")
        terms = [f"{self._random.choice(table.columns).name}{self._random.choice(['', ' DESC', ' COLLATE NOCASE'])}"]
        if self._chance(0.4):
            terms.append(self._expressions.value(self._kind(), table.pairs(), 1))
        where = f" WHERE {self._expressions.condition(table.pairs(), 1)}" if self._chance(0.3) else ""
        unique = "UNIQUE " if self._chance(0.1) else ""
        self._indexes.append(name)
        return f"CREATE {unique}INDEX {name} ON {table.name}({', '.join(terms)}){where}"

    def _create_view(self):
        table = self._random.choice(self.tables)
        view = Table(self._name("v"), [], is_view=True, has_rowid=False)
        terms = []
        for _ in range(self._random.randint(1, 3)):
            kind = self._kind()
            view.columns.append(Column(self._name("c"), kind))
            terms.append(self._expressions.value(kind, table.pairs(), 2))
        where = f" WHERE {self._expressions.condition(table.pairs(), 1)}" if self._chance(0.5) else ""
        self.views.append(view)
        names = ", ".join(column.name for column in view.columns)
        return f"CREATE VIEW {view.name}({names}) AS SELECT {', '.join(terms)} FROM {table.name}{where}"

    def _create_trigger(self):
        table, other = self._random.choice(self.tables), self._random.choice(self.tables)
        name = self._name("g")
        event = self._random.choice(["INSERT", "UPDATE", "DELETE"])
        row = "OLD." if event == "DELETE" else "NEW."
        target = self._random.choice(other.writable)
        shape = self._random.randrange(4)
        if shape == 0:
            how = self._random.choice(["ABORT, 'no'", "FAIL, 'no'", "IGNORE"])
            body = f"SELECT RAISE({how}) WHERE {self._expressions.condition(table.pairs(row), 1)}"
        elif shape == 1:
            body = f"UPDATE {other.name} SET {target.name} = {self._expressions.for_column(target, table.pairs(row), 1)}"
        elif shape == 2:
            body = f"INSERT OR IGNORE INTO {other.name}({target.name}) VALUES ({self._expressions.for_column(target, table.pairs(row), 1)})"
        else:
            body = f"DELETE FROM {other.name} WHERE {self._expressions.condition(other.pairs(), 1)}"
        when = f" WHEN {self._expressions.condition(table.pairs(row), 1)}" if self._chance(0.3) else ""
        self._triggers.append(name)
        return (f"CREATE TRIGGER {name} {self._random.choice(['BEFORE', 'AFTER'])} {event} ON {table.name} FOR EACH ROW{when} "
                f"BEGIN {body}; END")

    def _create_full_text(self):
        if len(self.full_text) == 2:
            return self._create_index()
        name = self._name("f")
        options = self._random.choice(["", ", tokenize = 'porter'", ", prefix = '2 3'", ", detail = column", ", tokenize = 'trigram'"])
        self.full_text.append(name)
        return f"CREATE VIRTUAL TABLE {name} USING fts5(title, body{options})"

    # --- ALTER and DROP

    def _add_column(self):
        table = self._random.choice(self.tables)
        if len(table.columns) >= COLUMNS_MAX:
            return self._create_index()
        column = Column(self._name("c"), self._random.choice(["integer", "text", "real"]))
        table.columns.append(column)
        fitting = {"integer": " DEFAULT 7", "text": " DEFAULT '10'", "real": " DEFAULT -0.5"}[column.kind]
        default = self._random.choice(["", " DEFAULT NULL", fitting])
        return f"ALTER TABLE {table.name} ADD COLUMN {column.name} {STRICT_TYPES[column.kind]}{default}"

    def _rename_column(self):
        table = self._random.choice(self.tables)
        column = self._random.choice(table.columns)
        old, column.name = column.name, self._name("c")
        table.unique = [", ".join(column.name if name == old else name for name in unique.split(", ")) for unique in table.unique]
        return f"ALTER TABLE {table.name} RENAME {self._random.choice(['', 'COLUMN '])}{old} TO {column.name}"

    def _rename_table(self):
        table = self._random.choice(self.tables)
        old, table.name = table.name, self._name("t")
        return f"ALTER TABLE {old} RENAME TO {table.name}"

    def _drop_column(self):
        table = self._random.choice(self.tables)
        column = self._random.choice(table.columns)
        # The statement may be refused, as something may depend on the column. The column then stays, and is not used.
        if len(table.columns) > 2 and not column.generated and column.name not in ", ".join(table.unique).split(", "):
            table.columns.remove(column)
        return f"ALTER TABLE {table.name} DROP COLUMN {column.name}"

    def _drop_something(self):
        kind, names = self._random.choice(
            [("INDEX", self._indexes), ("TRIGGER", self._triggers), ("VIEW", self.views), ("TABLE", self.tables)]
        )
        if not names or (kind == "TABLE" and len(names) < 4):
            return self._create_trigger()
        dropped = names.pop(self._random.randrange(len(names)))
        return f"DROP {kind} {self._random.choice(['', 'IF EXISTS '])}{dropped if isinstance(dropped, str) else dropped.name}"
