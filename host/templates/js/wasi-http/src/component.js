// `{{group}}`: a component of `wasi:http`, which runs unchanged wherever that is spoken.

addEventListener('fetch', (event) => event.respondWith(answer(event.request)));

async function answer(request) {
  // The mount is taken off: on the host this is /{{group}}/echo.
  switch (new URL(request.url).pathname) {
    case '/':
      return new Response('Hello!\n');
    case '/echo':
      return new Response(request.body);
    default:
      return new Response(null, { status: 404 });
  }
}
