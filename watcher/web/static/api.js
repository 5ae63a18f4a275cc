// What is asked of the server. Every failure becomes a sentence.

export class Refused extends Error {
  constructor(status, error, hint) {
    super(hint ? `${error}: ${hint}` : error);
    this.status = status;
  }
}

export async function get(address) {
  let answer;
  try {
    // The first one was preloaded: the same mode and credentials, or it is loaded twice.
    answer = await fetch(address, { headers: { accept: "application/json" }, credentials: "same-origin", cache: "default" });
  } catch {
    throw new Refused(0, "the page's server does not answer", "is it running still?");
  }
  if (answer.ok) return answer.json();
  const why = await answer.json().catch(() => ({ error: `status ${answer.status}`, hint: "" }));
  throw new Refused(answer.status, why.error, why.hint);
}
