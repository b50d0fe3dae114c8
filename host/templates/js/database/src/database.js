// The tenant's database, with rows as objects.

import * as database from 'wharf:plugin/database@0.1.0';

/** The rows of a statement. Parameters are text, whole numbers, booleans or null. */
export function query(sql, ...parameters) {
  const { columns, rows } = database.query(sql, parameters.map(value));
  return rows.map((row) => Object.fromEntries(row.map((cell, at) => [columns[at], plain(cell)])));
}

/** Runs a statement, and says how many rows it has changed. */
export function execute(sql, ...parameters) {
  return Number(database.execute(sql, parameters.map(value)));
}

/** Whether a statement failed since there is a row with such a value already. */
export function isTaken(error) {
  return error.payload?.tag === 'unique-violation';
}

function value(parameter) {
  switch (typeof parameter) {
    case 'string':
      return { tag: 'text', val: parameter };
    case 'boolean':
      return { tag: 'boolean', val: parameter };
    case 'number':
    case 'bigint':
      return { tag: 'integer', val: BigInt(parameter) };
    default:
      return { tag: 'null' };
  }
}

function plain({ tag, val }) {
  return tag === 'integer' ? Number(val) : (val ?? null);
}
