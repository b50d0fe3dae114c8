// Files in multipart forms (RFC 7578). `Response.formData()` of componentize-js 0.23 spoils what files hold, and does not
// say where in the body they lie, which `blobs.keep` wants to know.

import { header } from './wharf.js';

/** Bytes that are searched at once. As text, the whole body might not fit into the instance's memory. */
const WINDOW = 65_536;

/** The file that was sent in a field: its name, and where in the body its content lies; `undefined` if there is none. */
export function fileIn(request, field) {
  const boundary = /^multipart\/form-data;.*\bboundary="?([^";\s]+)/i.exec(header(request, 'content-type') ?? '')?.[1];
  const { body } = request;
  const delimiter = `--${boundary}`;
  let start = boundary ? find(body, delimiter, 0) : -1;
  while (start >= 0) {
    const offset = find(body, '\r\n\r\n', start) + 4;
    const end = find(body, `\r\n${delimiter}`, offset);
    if (offset < 4 || end < 0) {
      return undefined;
    }
    const head = new TextDecoder().decode(body.subarray(start, offset));
    const disposition = /^content-disposition:.*/im.exec(head)?.[0] ?? '';
    // A browser sends an empty name where nobody chose a file.
    const name = /\bfilename="([^"]*)"/i.exec(disposition)?.[1];
    if (name && /\bname="([^"]*)"/i.exec(disposition)?.[1] === field) {
      return { name, offset, length: end - offset };
    }
    start = end + 2;
  }
  return undefined;
}

/** Where a text stands in bytes, from a place on; -1 if nowhere. */
function find(bytes, text, from) {
  // It makes a character of each byte, so that places in the text are places in the bytes.
  const latin1 = new TextDecoder('latin1');
  for (let at = from; at < bytes.length; at += WINDOW) {
    // What begins in this window may end in the next.
    const found = latin1.decode(bytes.subarray(at, at + WINDOW + text.length)).indexOf(text);
    if (found >= 0) {
      return at + found;
    }
  }
  return -1;
}
