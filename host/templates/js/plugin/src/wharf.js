// What every component of this project needs: a table of routes, and answers.

import * as log from 'wharf:plugin/log@0.1.0';

/**
 * Makes `export const handler = serve([…])` of a table of routes, each with `method`, `path`, `answer`, and, where it
 * has them, `summary`, `tag`, `parameters`, the `realm` whose users alone may call it, and the `bodyLimit` in bytes.
 */
export function serve(endpoints) {
  return {
    routes: () => endpoints.map(route),
    handle(request) {
      try {
        return endpoints[request.route].answer(request);
      } catch (error) {
        return failed(error);
      }
    },
  };
}

/** What a handler throws to answer something else than it would. */
export class Refusal extends Error {
  constructor(status, message, more = {}) {
    super(message);
    this.status = status;
    this.body = { message, ...more };
  }
}

/** An answer with a JSON body. */
export function json(status, body, headers = {}) {
  return response(status, JSON.stringify(body), { 'content-type': 'application/json', ...headers });
}

/** An answer with a body of text or bytes. */
export function response(status, body = '', headers = {}) {
  const encoder = new TextEncoder();
  return {
    status,
    headers: Object.entries(headers).map(([name, value]) => [name, encoder.encode(value)]),
    body: typeof body === 'string' ? encoder.encode(body) : body,
  };
}

/** The JSON object that a client has sent. */
export function sent(request) {
  try {
    const body = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(request.body));
    if (body !== null && typeof body === 'object' && !Array.isArray(body)) {
      return body;
    }
  } catch {
    // Told below.
  }
  throw new Refusal(400, 'Send a JSON object.');
}

/** A parameter of the path, by its name. */
export function inPath(request, name) {
  return request.pathParameters.find(([candidate]) => candidate === name)?.[1];
}

/** A header, by its name in lower case. */
export function header(request, name) {
  const value = request.headers.find(([candidate]) => candidate === name)?.[1];
  return value && new TextDecoder().decode(value);
}

/** A parameter for the API description: `kind` is `text` or `integer`. */
export function parameter(name, kind, required, description) {
  return { name, place: 'input', kind, required, description };
}

function route({ method, path, answer: _, summary = '', tag = '', parameters = [], realm, bodyLimit }) {
  const names = [...path.matchAll(/\{\*?([^}]+)\}/g)].map(([, name]) => name);
  const inPath = names.map((name) => ({ name, place: 'path', kind: 'text', required: true, description: '' }));
  return {
    method,
    path,
    access: realm ? { tag: 'signed-in', val: realm } : { tag: 'public' },
    throttle: 'usual',
    tag,
    summary,
    parameters: [...inPath, ...parameters],
    bodyLimit,
  };
}

function failed(error) {
  if (error instanceof Refusal) {
    return json(error.status, error.body);
  }
  if (['busy', 'unavailable', 'timeout'].includes(error.payload?.tag)) {
    return json(503, { message: 'Service Unavailable' }, { 'retry-after': '1' });
  }
  log.write('error', error.payload ? JSON.stringify(error.payload) : `${error}\n${error.stack}`);
  return json(500, { message: 'Server Error' });
}
