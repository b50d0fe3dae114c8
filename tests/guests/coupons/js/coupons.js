// The coupons service in JavaScript; what it promises is written in ../README.md.

import * as cache from 'wharf:plugin/cache@0.1.0';
import * as clock from 'wharf:plugin/clock@0.1.0';
import * as database from 'wharf:plugin/database@0.1.0';
import * as log from 'wharf:plugin/log@0.1.0';
import * as settings from 'wharf:plugin/settings@0.1.0';

const PAGE = 50;
const CODE_BYTES = 64;
const PAGE_SECONDS = 60;
const GENERATION_SECONDS = 86_400;
const COLUMNS = 'code, percent, redeemed_by, redeemed_at';

/** Each route and what answers it; the host names the route by its index. */
const ENDPOINTS = [
  {
    method: 'GET',
    path: '/api/coupons',
    summary: 'The coupons by code, a page at a time.',
    parameters: [input('after', 'text', false, 'The code that the page comes after.')],
    answer: list,
  },
  {
    method: 'POST',
    path: '/api/coupons',
    summary: 'Creates a coupon.',
    parameters: [
      input('code', 'text', true, 'The code.'),
      input('percent', 'integer', true, 'The discount.'),
    ],
    answer: create,
  },
  {
    method: 'GET',
    path: '/api/coupons/{code}',
    summary: 'One coupon.',
    parameters: [inPath('code')],
    answer: show,
  },
  {
    method: 'POST',
    path: '/api/coupons/{code}/redeem',
    summary: 'Redeems a coupon, once.',
    parameters: [inPath('code')],
    answer: redeem,
  },
];

export const handler = {
  routes() {
    return ENDPOINTS.map(({ method, path, summary, parameters }) => ({
      method,
      path,
      access: { tag: 'public' },
      throttle: 'usual',
      tag: 'coupons',
      summary,
      parameters,
      bodyLimit: undefined,
    }));
  },

  handle(request) {
    try {
      return ENDPOINTS[request.route].answer(request);
    } catch (error) {
      return failed(error);
    }
  },
};

function list(request) {
  const after = new URLSearchParams(request.query).get('after') ?? '';
  // Whatever changes a coupon makes a new generation, so a page of an older one is never read again.
  const generation = hex(cache.get('coupons/generation') ?? new Uint8Array());
  const key = `coupons/${generation}/${after}`;
  const cached = cache.get(key);
  if (cached) {
    return response(200, cached, { 'x-cache': 'hit' });
  }
  const rows = query(
    `SELECT ${COLUMNS} FROM coupons WHERE code > $1 ORDER BY code LIMIT $2`,
    text(after),
    integer(PAGE + 1),
  );
  const coupons = rows.slice(0, PAGE);
  const next = rows.length > PAGE ? coupons.at(-1).code : null;
  const body = encode({ coupons, next });
  cache.set(key, body, PAGE_SECONDS);
  return response(200, body, { 'x-cache': 'miss' });
}

function create(request) {
  const { code, percent } = sent(request);
  const most = Number(settings.get('most_percent') ?? 100);
  const fields = {};
  if (!isCode(code)) {
    fields.code = `must be text of 1 to ${CODE_BYTES} bytes without control characters`;
  }
  if (!Number.isInteger(percent) || percent < 1 || percent > most) {
    fields.percent = `must be a whole number from 1 to ${most}`;
  }
  if (Object.keys(fields).length > 0) {
    return json(422, { message: 'the coupon is not valid', fields });
  }
  try {
    database.execute('INSERT INTO coupons (code, percent) VALUES ($1, $2)', [
      text(code),
      integer(percent),
    ]);
  } catch (error) {
    if (error.payload?.tag === 'unique-violation') {
      return json(409, { message: 'there is a coupon with this code already' });
    }
    throw error;
  }
  changed();
  return json(201, { code, percent, redeemed_by: null, redeemed_at: null });
}

function show(request) {
  return found(coupon(codeOf(request)));
}

function redeem(request) {
  const code = codeOf(request);
  const who = callerOf(request);
  const [redeemed] = query(
    `UPDATE coupons SET redeemed_by = $1, redeemed_at = $2
     WHERE code = $3 AND redeemed_at IS NULL RETURNING ${COLUMNS}`,
    text(who),
    integer(clock.now()),
    text(code),
  );
  if (redeemed) {
    changed();
    log.write('info', `coupon ${code} redeemed by ${who}`);
    return json(200, redeemed);
  }
  const taken = coupon(code);
  return taken ? json(409, { message: 'this coupon was redeemed before' }) : found(taken);
}

/** One coupon; `undefined` if there is none. */
function coupon(code) {
  return query(`SELECT ${COLUMNS} FROM coupons WHERE code = $1`, text(code))[0];
}

function found(coupon) {
  return coupon ? json(200, coupon) : json(404, { message: 'there is no such coupon' });
}

/** The members of the body; none if it is no JSON object. */
function sent(request) {
  try {
    return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(request.body)) ?? {};
  } catch {
    return {};
  }
}

function isCode(code) {
  if (typeof code !== 'string' || !code.isWellFormed() || /[\x00-\x1f\x7f]/.test(code)) {
    return false;
  }
  const bytes = new TextEncoder().encode(code).length;
  return bytes >= 1 && bytes <= CODE_BYTES;
}

function codeOf(request) {
  return request.pathParameters[0][1];
}

function callerOf({ caller }) {
  return caller.tag === 'identity' ? `${caller.val.realm}/${caller.val.userId}` : 'anonymous';
}

function changed() {
  cache.increment('coupons/generation', GENERATION_SECONDS);
}

function hex(bytes) {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
}

/** The rows of a statement, as objects. */
function query(sql, ...parameters) {
  const { columns, rows } = database.query(sql, parameters);
  return rows.map((row) =>
    Object.fromEntries(row.map(({ tag, val }, at) => [columns[at], tag === 'integer' ? Number(val) : (val ?? null)])),
  );
}

function text(val) {
  return { tag: 'text', val };
}

function integer(val) {
  return { tag: 'integer', val: BigInt(val) };
}

function failed(error) {
  if (['busy', 'unavailable', 'timeout'].includes(error.payload?.tag)) {
    return json(503, { message: 'Service Unavailable' }, { 'retry-after': '1' });
  }
  log.write('error', error.payload ? `the database: ${JSON.stringify(error.payload)}` : String(error));
  return json(500, { message: 'Server Error' });
}

function json(status, body, headers) {
  return response(status, encode(body), headers);
}

function encode(body) {
  return new TextEncoder().encode(JSON.stringify(body));
}

function response(status, body, headers = {}) {
  const all = Object.entries({ 'content-type': 'application/json', ...headers });
  const encoder = new TextEncoder();
  return { status, headers: all.map(([name, value]) => [name, encoder.encode(value)]), body };
}

function inPath(name) {
  return { name, place: 'path', kind: 'text', required: true, description: '' };
}

function input(name, kind, required, description) {
  return { name, place: 'input', kind, required, description };
}
