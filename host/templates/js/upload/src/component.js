// `{{group}}`: files that clients upload, and what is known of each.

import * as blobs from 'wharf:plugin/blobs@0.1.0';
import * as clock from 'wharf:plugin/clock@0.1.0';
import * as random from 'wharf:plugin/random@0.1.0';
import { execute, query } from './database.js';
import { fileIn } from './multipart.js';
import { inPath, json, Refusal, response, serve } from './wharf.js';

const COLUMNS = 'id, name, bytes, created_at';

const FILE = { name: 'file', place: 'file', kind: 'binary', required: true, description: 'The file.' };

export const handler = serve(
  [
    { method: 'GET', path: '/{{group}}', summary: 'The files, the newest first.', answer: list },
    { method: 'POST', path: '/{{group}}', summary: 'Keeps the file that is sent in the field `file` of a multipart form.', parameters: [FILE], bodyLimit: 10_000_000, answer: upload },
    { method: 'GET', path: '/{{group}}/{id}', summary: "A file's content.", answer: download },
    { method: 'DELETE', path: '/{{group}}/{id}', summary: 'Removes a file.', answer: remove },
  ].map((endpoint) => ({ tag: '{{group}}', ...endpoint })),
);

function list() {
  return json(200, query(`SELECT ${COLUMNS} FROM {{table}} ORDER BY id DESC LIMIT 50`));
}

function upload(request) {
  const file = fileIn(request, 'file');
  if (!file) {
    throw new Refusal(422, 'What was sent is not valid.', { fields: { file: ['is required'] } });
  }
  // Never a key that a client chooses: it would choose somebody else's.
  const key = Array.from(random.bytes(16), (byte) => byte.toString(16).padStart(2, '0')).join('');
  // The host takes it from the body as it arrived; it does not pass through this instance again.
  blobs.keep(key, BigInt(file.offset), BigInt(file.length));
  const sql = `INSERT INTO {{table}} (name, blob, bytes, created_at) VALUES ($1, $2, $3, $4) RETURNING ${COLUMNS}`;
  const [stored] = query(sql, file.name, key, file.length, clock.now());
  return json(201, stored);
}

function download(request) {
  // The host sends the blob; it does not pass through this instance.
  blobs.respond(keyOf(request));
  // Whatever it is, a browser shows nothing of it as a page of this origin.
  return response(200, '', { 'content-type': 'application/octet-stream', 'x-content-type-options': 'nosniff' });
}

function remove(request) {
  const key = keyOf(request);
  execute('DELETE FROM {{table}} WHERE blob = $1', key);
  blobs.delete(key);
  return response(204);
}

/** Where a file's content lies. */
function keyOf(request) {
  const id = Number(inPath(request, 'id'));
  const [kept] = Number.isSafeInteger(id) ? query('SELECT blob FROM {{table}} WHERE id = $1', id) : [];
  if (!kept) {
    throw new Refusal(404, 'Not Found');
  }
  return kept.blob;
}
