"use strict";
const facts = JSON.parse(document.getElementById("facts").textContent);
const forms = new Map([...document.querySelectorAll("form")].map((form) => [form.dataset.endpoint, form]));

// Near the ends with more digits: 0 and 100 mean exactly these.
function percent(share) {
  const lies = (text) => Number(text) > 0 && Number(text) < 100;
  const shown = [1, 2, 3, 4, 5, 6].map((digits) => (100 * share).toFixed(digits));
  return `${shown.find(lies) || shown[0]} %`;
}

// Text goes into the page as text alone, never as markup.
function element(tag, properties = {}, ...children) {
  const found = document.createElement(tag);
  Object.assign(found, properties);
  found.append(...children);
  return found;
}

function picture(address, words) {
  const image = element("img", { src: address, alt: words, className: "picture" });
  image.addEventListener("load", () => image.classList.toggle("hard", image.naturalHeight < 100));
  return image;
}

function pictures(addresses, words, large = false) {
  const shown = addresses.map((address, i) => {
    const link = element("a", { href: address, download: `${words.replaceAll(" ", "_")}_${i + 1}.png` });
    link.append(picture(address, `${words} ${i + 1}`));
    return element("figure", {}, link);
  });
  return element("div", { className: large ? "row large" : "row" }, ...shown);
}

function titled(address, words) {
  return element("figure", {}, picture(address, words), element("figcaption", {}, words));
}

function bars(probability) {
  const box = element("div", { className: "bars" });
  const sorted = Object.entries(probability).sort((a, b) => b[1] - a[1]);
  const rest = sorted.splice(12);
  for (const [name, share] of sorted) {
    const inner = element("span");
    inner.style.width = `${100 * share}%`;  // with a space it would be no length, and every bar full
    box.append(element("span", { className: "name" }, name), element("div", { className: "bar" }, inner),
      element("span", { className: "value" }, percent(share)));
  }
  if (rest.length) {
    const share = rest.reduce((sum, [, one]) => sum + one, 0);
    return element("div", {}, box, element("p", { className: "muted" },
      `${rest.length} more ${rest.length === 1 ? "class" : "classes"}, together ${percent(share)}`));
  }
  return box;
}

function table(values) {
  const rows = Object.entries(values).map(([name, value]) => element("tr", {}, element("th", {}, name),
    element("td", {}, value === null ? "n/a" : typeof value === "number" ? value.toPrecision(4) : String(value))));
  return element("div", { className: "scroll" }, element("table", {}, element("tbody", {}, ...rows)));
}

function more(title, content) {
  return element("details", {}, element("summary", {}, title), content);
}

function tag(text, bad = false) {
  return element("span", { className: bad ? "tag bad" : "tag" }, text);
}

function card(image, ...content) {
  return element("div", { className: "card" }, element("div", { className: "shown" },
    picture(image.picture, image.name)), element("div", {}, ...content));
}

// The classes of a mask: their colour in the overlay, and what there is of each.
function legend(classes, unit) {
  const known = classes.some((one) => one.size !== null);
  const size = known ? [unit.replace("2", "\u00b2").replace("3", "\u00b3")] : [];
  const heads = ["class", "share", unit === "mm3" ? "voxels" : "pixels", ...size, "mean uncertainty"];
  const rows = classes.map((one, i) => {
    const swatch = element("span", { className: "swatch" });
    if (i) swatch.style.background = one.colour;  // class 0 has no colour over the image
    const cells = [percent(one.share), String(one.pixels), ...(known ? [one.size.toPrecision(4)] : []),
      one.uncertainty === null ? "n/a" : one.uncertainty.toFixed(3)];
    return element("tr", {}, element("th", { scope: "row" }, swatch, one.name), ...cells.map((text) => element("td", {}, text)));
  });
  return element("div", { className: "scroll" }, element("table", { className: "legend" },
    element("thead", {}, element("tr", {}, ...heads.map((text) => element("th", { scope: "col" }, text)))),
    element("tbody", {}, ...rows)));
}

const show = {
  classify(found, files) {
    const cards = found.images.map((image) => {
      const tags = element("div");
      if (image.abstain) tags.append(tag(`abstains: ${image.reason}`, true));
      if (image.abstain === false) tags.append(tag("certain enough"));
      if (image.abstain === null) tags.append(tag("no thresholds: the model was not evaluated"));
      if (image.set) tags.append(...(image.set.length ? image.set : ["empty"]).map((name) => tag(`set: ${name}`)));
      const numbers = { ...image.uncertainty };
      for (const key of ["outside", "log_likelihood", "bits_per_dimension"])
        if (key in image) numbers[key === "outside" ? "p-value of its kind" : key.replaceAll("_", " ")] = image[key];
      const parts = [element("h3", {}, image.class), tags, bars(image.probability),
        more("Uncertainties", table(numbers))];
      if (image.nearest) {
        const near = image.nearest.map((one) => titled(one.picture, `${one.class}, cosine ${one.cosine.toFixed(3)}`));
        const all = found.compared_with === found.training_images ? "" : ` (of ${found.training_images}) that are compared with`;
        parts.push(element("h3", {}, `Nearest of ${found.compared_with} training images${all}`), element("div", { className: "row" }, ...near));
      }
      return card(image, element("p", { className: "muted" }, image.name), ...parts);
    });
    const whole = found.series.map((one) => element("div", {}, element("h3", {}, `${one.name}: ${one.class}`),
      element("p", { className: "muted" }, `mean of ${one.slices} slices`),
      ...(one.abstained ? [tag(`abstains from ${percent(one.abstained)} of them`, true)] : []), bars(one.probability)));
    if (forms.has("explain")) {
      const why = element("button", { type: "button", className: "second" }, "Show why");
      why.addEventListener("click", () => { choose(forms.get("explain"), files); ask(forms.get("explain")); });
      whole.unshift(element("p", {}, why));
    }
    return [...whole, ...cards];
  },
  segment(found) {
    return found.images.map((image) => {
      const unseen = image.unseen_share ? `; ${percent(image.unseen_share)} was not seen by the model` : "";
      const mean = image.mean_uncertainty === null ? "n/a" : image.mean_uncertainty.toFixed(3);
      return element("div", { className: "card wide" }, element("h3", {}, image.name),
        element("div", { className: "row full" }, titled(image.picture, "the image"),
          titled(image.overlay, "its classes in colour"), titled(image.uncertainty,
            `uncertainty (white: all classes are equally probable), mean ${mean}${unseen}`)),
        legend(image.classes, image.unit),
        element("p", {}, element("a", { href: image.mask, download: image.mask_name }, `Save the mask, ${image.mask_name}`)));
    });
  },
  explain(found) {
    return found.images.map((image) => element("div", { className: "card wide" },
      element("h3", {}, `${image.class} against ${image.against}: ${image.log_likelihood_ratio.toFixed(2)} nats`),
      titled(image.picture, "the image; its log-likelihood (red: more than the median); the log-likelihood ratio "
        + `(red: for ${image.class}, blue: for ${image.against})`),
      table({ "log-likelihood of the class (nats)": image.log_likelihood_of_class, prediction: image.prediction })));
  },
  generate(found) {
    const shown = Object.entries(found.pictures).flatMap(([name, all]) => [element("h3", {}, `${name} (drawn, no patient)`),
      pictures(all, `drawn ${name}`, true)]);
    for (const texts of Object.values(found.texts || {}))
      shown.push(...texts.map((text) => element("p", { className: "text" }, text)));
    if (found.routes && Object.keys(found.routes).length) shown.push(more("Routes", table(found.routes)));
    return shown;
  },
  translate(found) {
    return found.images.map((image) => element("div", { className: "card wide" },
      element("h3", {}, `${image.name}: ${found.target} (${found.route})`),
      element("div", { className: "row large" }, titled(image.picture, "source"), titled(image.mean, "mean of the draws"),
        image.spread ? titled(image.spread, `spread of the draws (mean ${percent(image.mean_spread)} of the range)`)
          : element("p", { className: "muted" }, "one draw has no spread")),
      more(`${image.samples.length} samples`, pictures(image.samples, "sample", true))));
  },
  report(found) {
    return found.images.map((image) => card(image, element("p", { className: "text" }, image.report),
      tag(`agreement of the drafts ${image.agreement === null ? "n/a" : percent(image.agreement)}`), tag(image.route),
      more(`${image.drafts.length} drafts`, element("div", {}, ...image.drafts.map((text) =>
        element("p", { className: "text" }, text))))));
  },
  answer(found) {
    const cards = found.images.map((image) => image.probability ? card(image,
      element("p", { className: "muted" }, image.place ? `${image.place}: ${image.name}` : image.name),
      element("h3", {}, image.modality), bars(image.probability)) : titled(image.picture, `${image.place}: ${image.name}`));
    if (found.task === "modality") return cards;
    const asked = [element("p", { className: "text" }, found.question)];
    if (!found.options.length) return [...asked, ...cards];  // of panels, each with its own
    const chances = Object.fromEntries(found.options.map((one) => [`${one.letter}: ${one.words}`, one.probability]));
    return [...asked, element("div", { className: "row large" }, ...cards),
      element("h3", {}, `${found.answer} (${percent(found.probability)})`), bars(chances)];
  },
};

const several = (form) => form.querySelector(".file").multiple;

// A slider over numbers that are not evenly spaced stands on the place of one.
const valueOf = (input) => input.dataset.values ? input.dataset.values.split(",")[input.value] : input.value.trim();

function query(form, files) {
  const asked = new URLSearchParams();
  if (files && !several(form)) asked.set("name", files[0].name);
  for (const input of form.querySelectorAll(".field:not([hidden]) [name]")) {
    const value = input.type === "checkbox" ? String(Number(input.checked)) : valueOf(input);
    if (value !== "" && (value !== input.dataset.default || input.tagName === "SELECT")) asked.set(input.name, value);
  }
  return asked;
}

function body(form, files) {
  if (!files || !several(form)) return files && files[0];
  const sent = new FormData();
  for (const file of files) sent.append("image", file, file.name);
  return sent;
}

function fail(box, line) {
  box.replaceChildren(element("p", { className: "error" }, line));  // the box is announced as it changes
}

async function ask(form) {
  const endpoint = form.dataset.endpoint, box = form.parentElement.querySelector(".result");
  const button = form.querySelector("button[type=submit]"), state = form.querySelector(".state");
  const files = form.querySelector(".file") ? form.chosen : null;
  if (form.querySelector(".file") && !files) return fail(box, "Choose an image first.");
  if (form.asking) form.asking.abort();
  const asking = form.asking = new AbortController(), start = Date.now();
  const tell = () => { state.textContent = `working, ${Math.round((Date.now() - start) / 1000)} s; the first time takes longest`; };
  const clock = setInterval(tell, 1000);
  button.setAttribute("aria-disabled", "true");  // and not disabled, which would lose the focus
  box.replaceChildren(element("p", { className: "muted" }, "working"));  // nothing of an earlier image stays
  tell();
  try {
    const answer = await fetch(`/${endpoint}?${query(form, files)}`, { method: "POST", body: body(form, files), signal: asking.signal });
    const found = await answer.json();
    if (!answer.ok) return fail(box, found.error || `status ${answer.status}`);
    const warnings = (found.warnings || []).map((line) => element("p", { className: "notice" }, line));
    box.replaceChildren(...warnings, ...show[endpoint](found, files));
    if (files) box.scrollIntoView({ block: "nearest" });
  } catch (error) {
    if (error.name !== "AbortError") fail(box, `The service does not answer (${error.message}): is it still running?`);
  } finally {
    clearInterval(clock);
    if (form.asking === asking) { button.removeAttribute("aria-disabled"); state.textContent = ""; }
  }
}

function choose(form, files) {  // several in the order of their names, with numbers as numbers
  const named = [...files].sort((a, b) => a.name.localeCompare(b.name, undefined, { numeric: true }));
  form.chosen = several(form) ? named : named.slice(0, 1);
  const left = named.length - form.chosen.length;
  form.querySelector(".chosen").textContent = form.chosen.map((file) => file.name).join(", ")
    + (left ? ` (${left} more not taken: one file at a time)` : "");
}

for (const form of forms.values()) {
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    if (form.querySelector("button[type=submit]").getAttribute("aria-disabled") !== "true") ask(form);
  });
  for (const slider of form.querySelectorAll("input[type=range]"))
    slider.addEventListener("input", () => {
      const value = valueOf(slider), shown = Number(value) ? value : slider.dataset.nothing;
      slider.parentElement.querySelector("output").textContent = shown;
      slider.setAttribute("aria-valuetext", shown);
    });
  const task = form.querySelector("[name=task]"), others = [...form.querySelectorAll("[data-tasks]")];
  const fit = () => others.forEach((one) => { one.hidden = !one.dataset.tasks.split(" ").includes(task.value); });
  if (task) { task.addEventListener("change", fit); fit(); }
  const input = form.querySelector(".file"), drop = form.querySelector(".drop");
  if (!input) continue;
  input.addEventListener("change", () => {
    if (input.files.length) { choose(form, input.files); ask(form); }
    input.value = "";  // the same file can be chosen again
  });
  for (const kind of ["dragover", "dragleave", "drop"])
    drop.addEventListener(kind, (event) => {
      event.preventDefault();
      drop.classList.toggle("over", kind === "dragover");
      const files = kind === "drop" ? [...event.dataTransfer.files] : [];
      if (files.length) { choose(form, files); ask(form); }
    });
}
