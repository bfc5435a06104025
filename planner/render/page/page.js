"use strict";
// The page is whole without this: it adds the filter, the buttons that copy, and folds long runs.
{
  const FEW = 500; // A browser lays out so many at once without being noticed.
  const form = document.getElementById("filter");
  const said = form.querySelector("output");
  // Null: the table does not tell it of its rows. Empty: it is not known of this one.
  const told = (body, name) => {
    const cell = body.querySelector("." + name);
    return cell && (cell.querySelector("b")?.textContent ?? "");
  };

  const fieldsOf = (body) => [...body.querySelectorAll(".field")].map((cell) => cell.textContent);

  // A head stands above the bodies of a run's changes, or of sources that drifted alike, and tells what they have in common.
  const headOf = (body) => {
    const button = body.querySelector("button");
    const head = {
      body,
      button,
      who: told(body, "who"),
      day: body.querySelector("time")?.dateTime.slice(0, 10) ?? null,
      // Not how it went: that is told of each change.
      cells: [...body.querySelectorAll(".when, .who, .commit, td")],
      fields: fieldsOf(body),
      count: 0,
      isFolded: button !== null,
    };
    button?.addEventListener("click", () => {
      head.isFolded = !head.isFolded;
      show();
    });
    return head;
  };
  const itemsOf = (table) => {
    let head = null;
    const items = [];
    for (const body of table.tBodies) {
      if (body.className === "run") {
        head = headOf(body);
        continue;
      }
      if (head) head.count += 1;
      items.push({
        body,
        head,
        address: told(body, "address"),
        who: head ? head.who : told(body, "who"),
        outcome: told(body, "outcome"),
        day: body.querySelector(".when time")?.dateTime.slice(0, 10) ?? head?.day ?? null,
        // A source's whole content, as an import has it, has every field.
        fields: body.querySelector(".fields") ? null : [...fieldsOf(body), ...(head?.fields ?? [])],
        all: null,
      });
    }
    return items;
  };
  // Every table body of a table that names what it lists is one thing that is found or not.
  const tables = [...document.querySelectorAll("table[data-lists]")].map((table) => ({
    table,
    lists: table.dataset.lists,
    most: FEW,
    none: table.nextElementSibling,
    more: table.nextElementSibling.nextElementSibling,
    group: table.closest("details"),
    items: itemsOf(table),
  }));
  const long = [...new Set(tables.flatMap((one) => one.items.map((item) => item.head)))].filter((head) => head?.button);
  // A space between the cells, so that no word begins in one and ends in the next.
  const textOf = (item) =>
    (item.all ??= [...item.body.querySelectorAll("th, td"), ...(item.head?.cells ?? [])]
      .map((cell) => cell.textContent)
      .join(" ")
      .toLowerCase());

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
    const isAsked = Boolean(words.length || address || who || outcome || field || since || until);
    const counts = new Map();
    for (const one of tables) {
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
      const shown = new Set();
      let done = 0;
      for (const item of found) {
        if (shown.size >= one.most) break;
        done += 1;
        // Of what was asked for nothing is folded.
        if (!item.head?.isFolded || isAsked) shown.add(item);
      }
      const told = new Set(found.slice(0, done).map((item) => item.head));
      for (const item of one.items) {
        item.body.hidden = !shown.has(item);
        if (item.head) item.head.body.hidden = !told.has(item.head);
      }
      one.table.hidden = !found.length;
      one.none.hidden = found.length > 0;
      one.more.hidden = found.length === done;
      one.more.textContent = `Show the other ${number.format(found.length - done)}`;
      if (one.group) unfoldAsked(one.group, isAsked && found.length > 0);
      const [before, all] = counts.get(one.lists) ?? [0, 0];
      counts.set(one.lists, [before + found.length, all + one.items.length]);
    }
    for (const head of long) {
      head.button.textContent = head.isFolded ? `Show ${number.format(head.count)} ${head.button.dataset.folds}` : "Fold";
      head.button.setAttribute("aria-expanded", String(!head.isFolded));
      head.button.hidden = isAsked;
    }
    const found = [...counts].map(([lists, [some, all]]) => `${number.format(some)} of ${number.format(all)} ${lists}`);
    said.textContent = isAsked ? "Found: " + found.join(" · ") : "";
  };
  // A folded table is open as long as something of it is asked for.
  const unfoldAsked = (group, isNeeded) => {
    if (isNeeded && !group.open) {
      group.open = true;
      group.dataset.asked = "";
    } else if (!isNeeded && "asked" in group.dataset) {
      group.open = false;
      delete group.dataset.asked;
    }
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

  // On paper is what is unfolded: all of it, also what the screen shows only when asked for more.
  addEventListener("beforeprint", () => showMost(Infinity));
  addEventListener("afterprint", () => showMost(FEW));

  const unfold = document.getElementById("unfold");
  let isFolded = true;
  unfold.addEventListener("click", () => {
    isFolded = !isFolded;
    for (const head of long) head.isFolded = isFolded;
    for (const one of document.querySelectorAll("td details, details.group")) one.open = !isFolded;
    unfold.textContent = isFolded ? "Unfold all" : "Fold all";
    show();
  });
}
