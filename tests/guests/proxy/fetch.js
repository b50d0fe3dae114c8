// The service-worker interface that JavaScript has for `wasi:http`: it echoes, and asks another host.

addEventListener("fetch", (event) => event.respondWith(answer(event.request)));

async function answer(request) {
  const { pathname, search } = new URL(request.url);
  if (pathname === "/echo") {
    return new Response(request.body);
  }
  if (pathname === "/call") {
    try {
      const called = await fetch(search.slice(1));
      return new Response(`${called.status} ${await called.text()}`);
    } catch {
      return new Response("denied");
    }
  }
  return new Response("hello from JavaScript");
}
