// `{{group}}`: items in a table of their own.

import * as clock from 'wharf:plugin/clock@0.1.0';
import * as log from 'wharf:plugin/log@0.1.0';
import { execute, isTaken, query } from './database.js';
import { inPath, json, parameter, Refusal, response, sent, serve } from './wharf.js';

const COLUMNS = 'id, name, amount, created_at';

const ITEM = [
  parameter('name', 'text', true, 'What it is called; no two items are called the same.'),
  parameter('amount', 'integer', true, 'How many there are.'),
];

export const handler = serve(
  [
    { method: 'GET', path: '/{{group}}', summary: 'The items, 50 at a time.', parameters: [parameter('after', 'integer', false, 'The id that the page comes after.')], answer: list },
    { method: 'POST', path: '/{{group}}', summary: 'Adds an item.', parameters: ITEM, answer: create },
    { method: 'GET', path: '/{{group}}/{id}', summary: 'One item.', answer: show },
    { method: 'PUT', path: '/{{group}}/{id}', summary: 'Changes an item.', parameters: ITEM, answer: update },
    { method: 'DELETE', path: '/{{group}}/{id}', summary: 'Removes an item.', answer: remove },
  ].map((endpoint) => ({ tag: '{{group}}', ...endpoint })),
);

function list(request) {
  const after = Number(new URLSearchParams(request.query).get('after') ?? 0);
  if (!Number.isSafeInteger(after)) {
    throw new Refusal(400, 'after must be a whole number');
  }
  return json(200, query(`SELECT ${COLUMNS} FROM {{table}} WHERE id > $1 ORDER BY id LIMIT 50`, after));
}

function create(request) {
  const { name, amount } = item(request);
  const sql = `INSERT INTO {{table}} (name, amount, created_at) VALUES ($1, $2, $3) RETURNING ${COLUMNS}`;
  const [made] = written(() => query(sql, name, amount, clock.now()));
  log.write('info', `item ${made.id} was added`);
  return json(201, made);
}

function show(request) {
  return found(query(`SELECT ${COLUMNS} FROM {{table}} WHERE id = $1`, id(request)));
}

function update(request) {
  const { name, amount } = item(request);
  const sql = `UPDATE {{table}} SET name = $1, amount = $2 WHERE id = $3 RETURNING ${COLUMNS}`;
  return found(written(() => query(sql, name, amount, id(request))));
}

function remove(request) {
  if (execute('DELETE FROM {{table}} WHERE id = $1', id(request)) === 0) {
    throw new Refusal(404, 'Not Found');
  }
  return response(204);
}

/** The item that a client has sent. */
function item(request) {
  const { name, amount } = sent(request);
  const fields = {};
  if (typeof name !== 'string' || name.length < 1 || name.length > 100) {
    fields.name = ['must be text of 1 to 100 characters'];
  }
  if (!Number.isSafeInteger(amount) || amount < 0) {
    fields.amount = ['must be a whole number of at least 0'];
  }
  if (Object.keys(fields).length > 0) {
    throw new Refusal(422, 'The item is not valid.', { fields });
  }
  return { name, amount };
}

function id(request) {
  const id = Number(inPath(request, 'id'));
  if (!Number.isSafeInteger(id)) {
    throw new Refusal(404, 'Not Found');
  }
  return id;
}

function found([item]) {
  if (!item) {
    throw new Refusal(404, 'Not Found');
  }
  return json(200, item);
}

function written(write) {
  try {
    return write();
  } catch (error) {
    throw isTaken(error) ? new Refusal(409, 'there is an item of this name') : error;
  }
}
