// Caches the page for offline use. FILES and VERSION are defined above this line.
//
// Network first: another page may use this address later, as on 127.0.0.1:8000.

const OURS = `edgefer ${self.registration.scope} `; // other pages of this server may have caches
const NAME = OURS + VERSION;

self.addEventListener("install", (event) => {
  const fresh = FILES.map((name) => new Request(name, { cache: "no-cache" })); // no files of an older page
  event.waitUntil(caches.open(NAME).then((cache) => cache.addAll(fresh)).then(() => self.skipWaiting()));
});

self.addEventListener("activate", (event) => {
  const old = (names) => Promise.all(names.filter((name) => name.startsWith(OURS) && name !== NAME).map((name) => caches.delete(name)));
  event.waitUntil(caches.keys().then(old).then(() => self.clients.claim()));
});

self.addEventListener("fetch", (event) => {
  const kept = () => caches.open(NAME).then((cache) => cache.match(event.request, { ignoreSearch: true }));
  event.respondWith(fetch(event.request).catch(async () => (await kept()) ?? Response.error()));
});
