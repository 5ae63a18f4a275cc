// Puts the parts together: looks at everything, listens to what is new, and looks again when told to.

import { get } from "./api.js";
import { Calendar } from "./calendar.js";
import { Dialog } from "./day.js";
import { disks } from "./disks.js";
import { Events } from "./events.js";
import { Jobs } from "./jobs.js";
import { listen } from "./live.js";
import { plots, redraw } from "./plots.js";
import { steps } from "./steps.js";
import { theme } from "./theme.js";
import { forget } from "./tip.js";
import { verdict } from "./verdict.js";
import { byId } from "./words.js";

const AGAIN_MS = 2000;
const KEYS = "Arrow keys go from day to day, Enter opens one.";
const EMPTY = "No day is here yet. Start the daemon with `tickward run`: it makes today's database, and this page fills by itself.";

const open = (key) => dialog.open(key);
const calendar = new Calendar(open);
const dialog = new Dialog();
const events = new Events(open);
const jobs = new Jobs(open);
let connection = "wait";
let daemon = null;
let looking = null;
let again = false;
let problem = ""; // why what is shown is of before

theme(redraw);

// One look at a time; what is told meanwhile is one more afterwards.
function look() {
  if (looking) {
    again = true;
    return;
  }
  again = false;
  looking = show().finally(() => {
    looking = null;
    if (again) look();
  });
}

async function show() {
  let picture;
  try {
    picture = await get("/api/overview");
  } catch (refused) {
    notice(refused.message);
    setTimeout(look, AGAIN_MS);
    return;
  }
  notice(problem);
  forget();
  byId("where").textContent = picture.root;
  verdict(picture, open);
  calendar.take(picture);
  jobs.look(picture.daemon.vitals?.running ?? []);
  disks(picture.volumes);
  steps(picture);
  welcome(picture);
  daemon = picture.daemon.pid;
  connected(connection);
  dialog.refresh();
  // The plots can wait until the days are to be seen.
  requestAnimationFrame(() => setTimeout(() => plots(picture)));
}

function welcome(picture) {
  const empty = picture.sequence === 0 && picture.calendars.every(({ spans }) => spans.every(({ letters }) => /^[.0!]*$/.test(letters)));
  document.body.classList.toggle("empty", empty);
  byId("calendar-hint").textContent = empty ? EMPTY : KEYS;
}

function notice(words) {
  byId("notice").textContent = words;
  byId("notice").hidden = !words;
}

const CONNECTIONS = { wait: "connecting", live: "live", away: "reconnecting …" };

function connected(state) {
  connection = state;
  const asleep = state === "live" && daemon === null && document.body.dataset.looked;
  byId("connection").dataset.state = asleep ? "asleep" : state;
  byId("connection").querySelector(".words").textContent = asleep ? "no daemon" : CONNECTIONS[state];
}

listen({
  state: (state) => {
    if (state === "live" && connection === "away") look();
    connected(state);
  },
  on: {
    recorded: (told) => {
      events.take(told);
      jobs.recorded(told);
    },
    progress: (told) => jobs.progress(told),
    overview: () => {
      problem = "";
      look();
    },
    reload: () => look(),
    problem: ({ error }) => {
      problem = `The days cannot be looked at for now, what is shown is of before: ${error}`;
      notice(problem);
    },
  },
});

look();
looking.then(() => {
  document.body.dataset.looked = "yes";
  connected(connection);
  dialog.follow(); // #ticks/2026-07-06 leads to a day
});
