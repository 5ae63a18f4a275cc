// Light or dark: as the system says, unless somebody chose here.

import { byId } from "./words.js";

const CHOICES = ["auto", "light", "dark"];

function stored() {
  try {
    return localStorage.getItem("theme");
  } catch {
    return null; // storage is forbidden: the choice lasts as long as the page
  }
}

function keep(choice) {
  try {
    localStorage.setItem("theme", choice);
  } catch {
    // as above
  }
}

export function theme(changed) {
  const button = byId("theme");
  let choice = CHOICES.includes(stored()) ? stored() : "auto";
  const show = () => {
    document.documentElement.dataset.theme = choice;
    button.textContent = `Theme: ${choice}`;
  };
  button.addEventListener("click", () => {
    choice = CHOICES[(CHOICES.indexOf(choice) + 1) % CHOICES.length];
    keep(choice);
    show();
    changed();
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", changed);
  show();
}
