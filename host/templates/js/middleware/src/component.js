// `{{group}}`: lets those call the groups that it wraps who send its key as `x-api-key`.

import * as log from 'wharf:plugin/log@0.1.0';
import * as settings from 'wharf:plugin/settings@0.1.0';
import { header, json, response, serve } from './wharf.js';

/** The header that the key is sent in. */
const HEADER = 'x-api-key';

export const middleware = {
  /** Sees each request before the group, and hands it on or answers by itself. */
  before(request) {
    const key = settings.get('key') ?? '';
    if (key === '' || !isSame(header(request, HEADER) ?? '', key)) {
      log.write('info', 'a caller without the key was turned away');
      const refused = json(401, { message: 'Send the API key in the header x-api-key.' });
      return { tag: 'respond', val: refused };
    }
    // The group need not know it.
    return { tag: 'next', val: { remove: [HEADER], set: [], add: [] } };
  },

  /** Sees each answer after the group. */
  after(response) {
    return response;
  },
};

// What it wraps itself, so that there is something to try. A component that wraps others needs no routes.
export const handler = serve([
  { method: 'GET', path: '/{{group}}', tag: '{{group}}', summary: 'Says that whoever asks has the key.', answer: hello },
]);

function hello() {
  return response(200, 'You have the key.\n', { 'content-type': 'text/plain; charset=utf-8' });
}

/** Whether two texts are the same. How long the comparison takes tells nothing of them but their length. */
function isSame(one, other) {
  let differences = one.length ^ other.length;
  for (let at = 0; at < one.length; at += 1) {
    differences |= one.charCodeAt(at) ^ other.charCodeAt(at);
  }
  return differences === 0;
}
