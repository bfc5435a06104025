"use strict";
// The page is whole without this: it adds the filter, the buttons that copy, and opens what is folded for printing.
{
  const FEW = 500; // A browser lays out so many at once without being noticed.
  const form = document.getElementById("filter");
  const said = form.querySelector("output");
  // Null: the table does not tell it of its rows. Empty: it is not known of this one.
  const told = (body, name) => {
    const cell = body.querySelector("." + name);
    return cell && (cell.querySelector("b")?.textContent ?? "");
  };

  // Every table body of a table that names what it lists is one thing that is found or not.
  const tables = [...document.querySelectorAll("table[data-lists]")].map((table) => ({
    table,
    lists: table.dataset.lists,
    most: FEW,
    none: table.nextElementSibling,
    more: table.nextElementSibling.nextElementSibling,
    items: [...table.tBodies].map((body) => ({
      body,
      address: told(body, "address"),
      who: told(body, "who"),
      outcome: told(body, "outcome"),
      day: body.querySelector(".when time")?.dateTime.slice(0, 10) ?? null,
      // A source's whole content, as an import has it, has every field.
      fields: body.querySelector(".fields") ? null : [...body.querySelectorAll(".field")].map((cell) => cell.textContent),
      all: null,
    })),
  }));
  // A space between the cells, so that no word begins in one and ends in the next.
  const textOf = (item) =>
    (item.all ??= [...item.body.querySelectorAll("th, td")].map((cell) => cell.textContent).join(" ").toLowerCase());

  const fill = (element, name) => {
    const values = new Set(tables.flatMap((one) => one.items.flatMap((item) => item[name])));
    for (const value of [...values].filter(Boolean).sort()) element.append(new Option(value, value));
  };
  fill(form.elements.who, "who");
  fill(form.elements.outcome, "outcome");
  fill(form.elements.field, "fields");
  fill(document.getElementById("addresses"), "address");

  const number = new Intl.NumberFormat("en");
  const show = () => {
    const words = form.elements.words.value.toLowerCase().split(/\s+/).filter(Boolean);
    const address = form.elements.address.value.trim().toLowerCase();
    const who = form.elements.who.value;
    const outcome = form.elements.outcome.value;
    const field = form.elements.field.value;
    const since = form.elements.since.value.trim();
    const until = form.elements.until.value.trim();
    const counts = tables.map((one) => {
      // What a table does not tell of its rows hides none of them.
      const found = one.items.filter(
        (item) =>
          (!address || (item.address?.toLowerCase().includes(address) ?? true)) &&
          (!who || (item.who ?? who) === who) &&
          (!outcome || (item.outcome ?? outcome) === outcome) &&
          (!field || (item.fields?.includes(field) ?? true)) &&
          (!since || (item.day ?? since) >= since) &&
          (!until || (item.day ?? until).slice(0, until.length) <= until) &&
          words.every((word) => textOf(item).includes(word)),
      );
      const shown = new Set(found.slice(0, one.most));
      for (const item of one.items) item.body.hidden = !shown.has(item);
      one.table.hidden = !found.length;
      one.none.hidden = found.length > 0;
      one.more.hidden = found.length === shown.size;
      one.more.textContent = `Show the other ${number.format(found.length - shown.size)}`;
      return `${number.format(found.length)} of ${number.format(one.items.length)} ${one.lists}`;
    });
    said.textContent = words.length || address || who || outcome || field || since || until ? "Found: " + counts.join(" · ") : "";
  };

  const showMost = (most, these = tables) => {
    for (const one of these) one.most = most;
    show();
  };
  let waiting;
  form.addEventListener("input", () => {
    clearTimeout(waiting);
    waiting = setTimeout(showMost, 120, FEW);
  });
  form.addEventListener("reset", () => setTimeout(showMost, 0, FEW));
  form.addEventListener("submit", (event) => event.preventDefault());
  for (const one of tables) one.more.addEventListener("click", () => showMost(Infinity, [one]));
  form.hidden = false;
  show();

  for (const button of document.querySelectorAll("button[data-copies]")) {
    const code = document.getElementById(button.dataset.copies);
    button.hidden = false;
    button.addEventListener("click", async () => {
      try {
        await navigator.clipboard.writeText(code.textContent);
        button.textContent = "Copied";
      } catch {
        getSelection().selectAllChildren(code);
        button.textContent = "Selected";
      }
      setTimeout(() => (button.textContent = "Copy"), 2000);
    });
  }

  // What is on paper can't be unfolded.
  let folded = [];
  addEventListener("beforeprint", () => {
    folded = [...document.querySelectorAll("td details:not([open])")];
    for (const one of folded) one.open = true;
    showMost(Infinity);
  });
  addEventListener("afterprint", () => {
    for (const one of folded) one.open = false;
    showMost(FEW);
  });
}
