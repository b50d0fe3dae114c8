// `{{group}}`: a greeting, to begin with.

import * as log from 'wharf:plugin/log@0.1.0';
import { inPath, json, serve } from './wharf.js';

export const handler = serve([
  { method: 'GET', path: '/{{group}}/{name}', tag: '{{group}}', summary: 'Greets somebody.', answer: greet },
]);

function greet(request) {
  const name = inPath(request, 'name');
  log.write('info', `greeting ${name}`);
  return json(200, { greeting: `Hello, ${name}!` });
}
