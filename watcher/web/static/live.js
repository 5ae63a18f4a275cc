// The stream of what is new. It goes on where it was, whoever was away meanwhile.

const AGAIN_MS = 5000;

export function listen({ on, state }) {
  let last = "";
  let source = null;
  const open = () => {
    if (source || document.hidden) return;
    source = new EventSource(last ? `/api/events?after=${encodeURIComponent(last)}` : "/api/events");
    const mine = source;
    mine.addEventListener("open", () => state("live"));
    mine.addEventListener("error", () => {
      state("away");
      if (mine.readyState !== EventSource.CLOSED || mine !== source) return;
      source = null; // refused: the browser gives up
      setTimeout(open, AGAIN_MS);
    });
    for (const [name, take] of Object.entries(on)) {
      mine.addEventListener(name, (message) => {
        last = message.lastEventId || last;
        take(JSON.parse(message.data));
      });
    }
  };
  // A browser has six connections for all pages of one address: those that nobody looks at do without.
  document.addEventListener("visibilitychange", () => {
    if (document.hidden) {
      source?.close();
      source = null;
    } else {
      open();
      on.reload();
    }
  });
  open();
}
