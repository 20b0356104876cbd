"use strict";
// Optional: adds tooltips for pointer and keyboard, and sortable tables.

const hint = document.createElement("div");
hint.className = "hint";
hint.hidden = true;
hint.setAttribute("role", "status");
document.body.append(hint);

const told = new WeakMap();
let shown = null;

function hide() {
  if (shown) shown.classList.remove("on");
  shown = null;
  hint.hidden = true;
}

function show(tip) {
  hide();
  shown = tip;
  tip.classList.add("on");
  hint.textContent = told.get(tip);
  hint.hidden = false;
  const box = (tip.querySelector(".mark") ?? tip).getBoundingClientRect();
  const room = document.documentElement.clientWidth;
  const left = Math.max(4, Math.min(box.left + box.width / 2 - hint.offsetWidth / 2, room - hint.offsetWidth - 4));
  const above = box.top > hint.offsetHeight + 10;
  hint.style.left = `${left + scrollX}px`;
  hint.style.top = `${(above ? box.top - hint.offsetHeight - 8 : box.bottom + 8) + scrollY}px`;
}

for (const tip of document.querySelectorAll(".tip")) {
  const title = tip.querySelector(":scope > title");
  told.set(tip, title ? title.textContent : tip.title);
  if (title) title.remove();
  else tip.removeAttribute("title"); // otherwise the browser's tooltip would cover this one
}
document.addEventListener("pointerover", (event) => {
  const tip = event.target.closest?.(".tip");
  if (tip) show(tip);
  else hide();
});
document.addEventListener("keydown", (event) => {
  if (event.key === "Escape") hide();
});

// One tab stop per chart; arrow keys move between points.
for (const chart of document.querySelectorAll(".chart")) {
  const tips = [...chart.querySelectorAll(".tip")];
  if (!tips.length) continue;
  chart.tabIndex = 0;
  chart.setAttribute("role", "group");
  chart.setAttribute("aria-label", `${chart.dataset.name}: the arrow keys go from figure to figure`);
  chart.addEventListener("keydown", (event) => {
    const place = tips.indexOf(shown);
    const next = {
      ArrowRight: place + 1, ArrowDown: place + 1, Home: 0, End: tips.length - 1,
      ArrowLeft: place < 0 ? tips.length - 1 : place - 1, ArrowUp: place < 0 ? tips.length - 1 : place - 1,
    }[event.key];
    if (next === undefined) return;
    event.preventDefault();
    const tip = tips[(next + tips.length) % tips.length];
    tip.scrollIntoView({ block: "nearest", inline: "nearest" });
    show(tip);
  });
  chart.addEventListener("blur", hide);
}

for (const table of document.querySelectorAll("table.sorts")) {
  const body = table.tBodies[0];
  const heads = [...table.tHead.rows[0].cells];
  const value = (row, column) => {
    const text = (row.cells[column].dataset.sort ?? row.cells[column].textContent).trim();
    const number = parseFloat(text.replaceAll(",", ""));
    return Number.isNaN(number) ? (text ? text : null) : number;
  };
  heads.forEach((head, column) => {
    const button = document.createElement("button");
    button.append(...head.childNodes);
    head.append(button);
    button.addEventListener("click", () => {
      const down = head.getAttribute("aria-sort") === "ascending";
      for (const other of heads) other.removeAttribute("aria-sort");
      head.setAttribute("aria-sort", down ? "descending" : "ascending");
      const rows = [...body.rows].sort((one, two) => {
        const [a, b] = [value(one, column), value(two, column)];
        if (a === null || b === null) return (a === null) - (b === null); // missing values sort last
        const order = typeof a === "number" && typeof b === "number" ? a - b : String(a).localeCompare(String(b));
        return down ? -order : order;
      });
      body.append(...rows);
    });
  });
}

// A form that filters a table's rows: text fields by the row's text, others by its data attribute of the same name.
for (const form of document.querySelectorAll("form.filters")) {
  const rows = [...document.getElementById(form.dataset.table).tBodies[0].rows];
  const filter = () => {
    const wanted = new FormData(form);
    const words = wanted.get("text").toLowerCase().split(/\s+/).filter(Boolean);
    for (const row of rows) {
      const said = row.textContent.toLowerCase();
      const fits = [...wanted].every(([name, value]) => name === "text" || !value || row.dataset[name] === value);
      row.hidden = !fits || !words.every((word) => said.includes(word));
    }
    form.querySelector("output").textContent = `${rows.filter((row) => !row.hidden).length} of ${rows.length} rows`;
  };
  form.hidden = false;
  form.addEventListener("input", filter);
  form.addEventListener("submit", (event) => event.preventDefault());
  filter();
}

// Unfold everything for print.
addEventListener("beforeprint", () => {
  for (const each of document.querySelectorAll("details")) each.open = true;
});
