/**
 * The panel "Clusters", as the App draws it: no build step, React and the App's own helpers come
 * from the page. Everything it knows arrives in `data.board` (see clusters_panel.py, `_send`), and
 * all it does is to send events; which clusters are selected stands in the view of the App.
 */
(function () {
  "use strict";

  const React = window.React;
  const { createElement: h, useCallback, useEffect, useMemo, useRef, useState } = React;

  const PAGE = 24; // cards that are drawn first, and added at once while scrolling
  const FIRST = 18; // small pictures in the first request, so that some are there soon
  const PICTURES = 60; // in each one after it
  const PAUSE = 150; // milliseconds of quiet before new cards are asked for
  const PATIENCE = 5000; // milliseconds for which a click counts more than what the App says of before

  const SORTS = {
    size: { label: "Size", of: (card) => card.size, down: true },
    cohesion: { label: "Cohesion", of: (card) => card.cohesion, down: false },
    novelty: { label: "Novelty", of: (card) => card.novelty, down: true },
    disagreement: { label: "Disagreement", of: (card) => card.disagreement, down: true },
    name: { label: "Name", of: (card) => card.name, down: false },
  };

  const TOOLS = [
    ["name_clusters", "Suggest names"],
    ["select_samples", "Pick what to label"],
    ["label_clusters", "Make labels"],
    ["review", "Review"],
    ["evaluate_clusters", "Evaluate"],
    ["write_report", "Report"],
  ];

  const ICONS = {
    undo: "M12.5 8c-2.65 0-5.05 1-6.9 2.6L2 7v9h9l-3.62-3.62A8 8 0 0 1 20 16l2.4-.8A10.5 10.5 0 0 0 12.5 8Z",
    redo: "M18.4 10.6A10.5 10.5 0 0 0 1.6 15.2L4 16a8 8 0 0 1 12.62-3.62L13 16h9V7l-3.6 3.6Z",
    refresh:
      "M17.65 6.35A8 8 0 1 0 19.73 14h-2.08A6 6 0 1 1 12 6c1.66 0 3.14.69 4.22 1.78L13 11h7V4l-2.35 2.35Z",
    check: "M9 16.17 4.83 12l-1.42 1.41L9 19 21 7l-1.41-1.41L9 16.17Z",
    up: "M4 12l1.41 1.41L11 7.83V20h2V7.83l5.58 5.59L20 12l-8-8-8 8Z",
    down: "M20 12l-1.41-1.41L13 16.17V4h-2v12.17l-5.58-5.59L4 12l8 8 8-8Z",
  };

  const number = (value) => value.toLocaleString("en");
  const figure = (value) => (value === null ? "–" : value.toFixed(2));
  const percent = (value) => `${Math.round(value * 100)} %`;
  const counted = (count, noun) =>
    `${number(count)} ${count === 1 ? noun.replace(/s$/, "") : noun}`;

  /** Small pictures by the id of their item: asked for in groups, and only once. */
  class Pictures {
    constructor(ask) {
      this.ask = ask;
      this.found = new Map();
      this.wanted = new Set();
      this.listeners = new Set();
      this.running = false;
    }

    want(ids) {
      ids.filter((id) => !this.found.has(id)).forEach((id) => this.wanted.add(id));
      window.setTimeout(() => this.next(), 20);
    }

    next() {
      const ids = [...this.wanted].slice(0, this.found.size ? PICTURES : FIRST);
      if (this.running || !ids.length) return;
      this.running = true;
      this.ask(ids, (urls) => {
        ids.forEach((id) => {
          this.wanted.delete(id);
          this.found.set(id, urls[id] || null); // null: cannot be read
        });
        this.running = false;
        this.listeners.forEach((tell) => tell());
        this.next();
      });
    }
  }

  function Icon({ name }) {
    const shape = h("path", { d: ICONS[name] });
    return h("svg", { viewBox: "0 0 24 24", "aria-hidden": true, className: "uvl-icon" }, shape);
  }

  function Button({ cy, title, label, icon, onClick, disabled, strong, type }) {
    return h(
      "button",
      {
        type: type || "button",
        "data-cy": cy,
        "aria-label": label ? undefined : title,
        title: title,
        disabled: Boolean(disabled),
        onClick: onClick,
        className: `uvl-button${strong ? " uvl-strong" : ""}${label ? "" : " uvl-round"}`,
      },
      icon && h(Icon, { name: icon }),
      label
    );
  }

  function Choice({ cy, label, value, choices, onChange, disabled }) {
    const options = choices.map(([key, text]) => h("option", { key: key, value: key }, text));
    return h(
      "select",
      {
        "data-cy": cy,
        "aria-label": label,
        title: label,
        className: "uvl-choice",
        value: value,
        disabled: disabled,
        onChange: (event) => onChange(event.target.value),
      },
      options
    );
  }

  function Exemplars({ card, pictures }) {
    const [, tell] = useState(0);
    const place = useRef(null);
    const ids = card.exemplars;
    useEffect(() => {
      const listener = () => tell((count) => count + 1);
      pictures.listeners.add(listener);
      const observer = new IntersectionObserver(
        (entries) => entries.some((entry) => entry.isIntersecting) && pictures.want(ids),
        { rootMargin: "200px" }
      );
      observer.observe(place.current);
      return () => {
        pictures.listeners.delete(listener);
        observer.disconnect();
      };
    }, [ids.join(), pictures]);
    const tiles = ids.map((id, place) => {
      const url = pictures.found.get(id);
      const alt = `Example ${place + 1} of ${card.name}`;
      return url
        ? h("img", { key: id, src: url, alt: alt, className: "uvl-tile", "data-cy": "uvl-picture" })
        : h("span", { key: id, className: `uvl-tile${url === null ? "" : " uvl-awaited"}` });
    });
    return h("span", { ref: place, className: "uvl-tiles" }, tiles);
  }

  function Figures({ card, sort }) {
    const shown = [
      [
        "cohesion",
        "Cohesion",
        card.cohesion,
        "How alike the members are: mean cosine to their mean",
      ],
      ["novelty", "Novelty", card.novelty, "How far it is from the nearest other cluster"],
      [
        "disagreement",
        "Disagreement",
        card.disagreement,
        "Members that may not belong: 0 none, 1 all",
      ],
    ];
    return h(
      "span",
      { className: "uvl-figures" },
      shown.map(([key, label, value, title]) =>
        h(
          "span",
          { key: key, title: title, className: key === sort ? "uvl-now" : undefined },
          h("b", null, figure(value)),
          h("i", null, label)
        )
      )
    );
  }

  function Purity({ card }) {
    if (card.label === null) return null;
    const said = `${percent(card.purity)} ${card.label}`;
    return h(
      "span",
      { className: "uvl-purity", title: `Of the labelled members ${said}` },
      h(
        "span",
        { className: "uvl-bar" },
        h("span", { style: { width: percent(card.purity).replace(" ", "") } })
      ),
      h("span", null, said)
    );
  }

  function Proposals({ card, proposals, accept, disabled }) {
    return h(
      "div",
      { className: "uvl-chips" },
      proposals.slice(0, 3).map((proposal) =>
        h(
          "button",
          {
            key: proposal.name,
            type: "button",
            className: "uvl-chip",
            "data-cy": "uvl-proposal",
            disabled: disabled,
            title: `Call it "${proposal.name}"`,
            onClick: () => accept(card.name, proposal.name),
          },
          h(Icon, { name: "check" }),
          proposal.name,
          h("i", null, proposal.score.toFixed(2))
        )
      )
    );
  }

  const sizeOf = (card) =>
    card.shown === null || card.shown === card.size
      ? number(card.size)
      : `${number(card.shown)} of ${number(card.size)}`;

  const Card = React.memo(function Card({
    card,
    chosen,
    sort,
    proposals,
    picked,
    pictures,
    act,
    busy,
  }) {
    const many = (event) => event.ctrlKey || event.metaKey || event.shiftKey;
    const classes = ["uvl-card", chosen && "uvl-chosen", card.shown === 0 && "uvl-absent"];
    return h(
      "div",
      {
        className: classes.filter(Boolean).join(" "),
        "data-cy": "uvl-card",
        "data-cluster": card.name,
      },
      h("input", {
        type: "checkbox",
        checked: chosen,
        "data-cy": "uvl-tick",
        "aria-label": `Also select ${card.title}`,
        onChange: () => act.toggle(card.name),
      }),
      h(
        "button",
        {
          type: "button",
          className: "uvl-open",
          "data-cy": "uvl-open",
          "aria-pressed": chosen,
          title: card.title,
          onClick: (event) => (many(event) ? act.toggle(card.name) : act.only(card.name)),
        },
        card.noise
          ? h("span", { className: "uvl-tiles uvl-none" }, "in no cluster")
          : h(Exemplars, { card: card, pictures: pictures }),
        h(
          "span",
          { className: "uvl-head" },
          h("span", { className: "uvl-name", "data-cy": "uvl-name" }, card.title),
          h("span", { className: "uvl-size", "data-cy": "uvl-size" }, sizeOf(card))
        ),
        !card.noise && h(Figures, { card: card, sort: sort }),
        !card.noise && h(Purity, { card: card })
      ),
      picked > 0 &&
        h(
          "button",
          {
            type: "button",
            className: "uvl-here",
            "data-cy": "uvl-move",
            disabled: busy,
            title: `Moves what is selected in the grid to ${card.title}`,
            onClick: () => act.move(card.name),
          },
          `Move ${number(picked)} here`
        ),
      proposals.length > 0 &&
        h(Proposals, { card: card, proposals: proposals, accept: act.accept, disabled: busy })
    );
  });

  /** One line for a short entry in place of the buttons: a new name, or a number of parts. */
  function Entry({ label, cy, first, numeric, done, cancel }) {
    const [value, setValue] = useState(first);
    const submit = (event) => {
      event.preventDefault();
      if (String(value).trim()) done(numeric ? Number(value) : value);
    };
    return h(
      "form",
      { className: "uvl-entry", onSubmit: submit },
      h("label", null, label),
      h("input", {
        autoFocus: true,
        "data-cy": cy,
        "aria-label": label,
        type: numeric ? "number" : "text",
        min: numeric ? 2 : undefined,
        value: value,
        onFocus: (event) => event.target.select(),
        onChange: (event) => setValue(event.target.value),
        onKeyDown: (event) => event.key === "Escape" && cancel(),
      }),
      h(Button, { type: "submit", cy: "uvl-done", label: "Done", strong: true }),
      h(Button, { cy: "uvl-cancel", label: "Cancel", onClick: cancel })
    );
  }

  function Actions({ board, selected, cards, busy, send, select }) {
    const [asked, ask] = useState(null);
    useEffect(() => ask(null), [selected.join("\n")]);
    const real = selected.filter((name) => name !== board.noise);
    const single = selected.length === 1 && real.length === 1 ? real[0] : null;
    const total = cards
      .filter((card) => selected.includes(card.name))
      .reduce((sum, card) => sum + card.size, 0);
    const others = cards.map((card) => card.name).filter((name) => !selected.includes(name));
    if (asked === "rename" && single) {
      const done = (name) => send("rename", { cluster: single, name: name });
      return h(Entry, {
        label: `Rename ${single} to`,
        cy: "uvl-new-name",
        first: single,
        done: done,
        cancel: () => ask(null),
      });
    }
    if (asked === "split" && single) {
      const done = (parts) => send("split", { cluster: single, parts: parts });
      return h(Entry, {
        label: `Split ${single} into`,
        cy: "uvl-parts",
        first: 2,
        numeric: true,
        done: done,
        cancel: () => ask(null),
      });
    }
    const editable = !board.level && !busy;
    const said = selected.length
      ? `${selected.length === 1 ? titleOf(board, selected[0]) : counted(selected.length, "clusters")}, ${counted(total, board.unit)}`
      : "Click a card to see what is in it; Ctrl-click or tick for several.";
    return h(
      React.Fragment,
      null,
      h(
        "span",
        {
          className: selected.length ? "uvl-said uvl-some" : "uvl-said",
          "data-cy": "uvl-selected",
        },
        said
      ),
      selected.length > 0 && [
        h(Button, {
          key: "but",
          cy: "uvl-all-but",
          label: "All but these",
          disabled: !others.length,
          onClick: () => select(others),
        }),
        h(Button, { key: "all", cy: "uvl-show-all", label: "Show all", onClick: () => select([]) }),
        h("span", { key: "gap", className: "uvl-gap" }),
      ],
      selected.length > 0 &&
        !board.level && [
          h(Button, {
            key: "rename",
            cy: "uvl-rename",
            label: "Rename",
            disabled: !editable || !single,
            onClick: () => ask("rename"),
          }),
          h(Button, {
            key: "merge",
            cy: "uvl-merge",
            label: "Merge",
            disabled: !editable || real.length < 2 || real.length < selected.length,
            onClick: () => send("merge", { clusters: real }),
          }),
          h(Button, {
            key: "split",
            cy: "uvl-split",
            label: "Split",
            disabled: !editable || !single,
            onClick: () => ask("split"),
          }),
          h(Button, {
            key: "dissolve",
            cy: "uvl-dissolve",
            label: "Dissolve",
            title: "Its members are then in no cluster",
            disabled: !editable || !real.length || real.length < selected.length,
            onClick: () => send("dissolve", { clusters: real }),
          }),
        ]
    );
  }

  function Steps({ board, send, busy }) {
    return h(
      React.Fragment,
      null,
      h(Button, {
        cy: "uvl-undo",
        icon: "undo",
        title: "Undo the last edit",
        disabled: busy || !board.steps.length,
        onClick: () => send("undo"),
      }),
      h(Button, {
        cy: "uvl-redo",
        icon: "redo",
        title: "Do the last undone edit again",
        disabled: busy || !board.n_undone,
        onClick: () => send("redo"),
      }),
      h(Button, {
        cy: "uvl-refresh",
        icon: "refresh",
        title: "Read the clusters again",
        disabled: busy,
        onClick: () => send("look"),
      })
    );
  }

  function Tools({ board, selected, send }) {
    const clusters = board.level ? [] : selected.filter((name) => name !== board.noise);
    const start = (name) =>
      name === "review" ? send("review") : send("open_form", { name: name, clusters: clusters });
    return h(
      "div",
      { className: "uvl-row uvl-tools" },
      TOOLS.map(([name, label]) =>
        h(
          "button",
          {
            key: name,
            type: "button",
            className: "uvl-link",
            "data-cy": `uvl-${name}`,
            onClick: () => start(name),
          },
          label
        )
      )
    );
  }

  const titleOf = (board, name) => (name === board.noise ? "No cluster" : name);

  function Edits({ steps }) {
    if (!steps.length) return null;
    const rows = steps.map((step, place) =>
      h(
        "li",
        { key: place },
        step.said,
        h(
          "i",
          null,
          [step.who, step.when && new Date(step.when).toLocaleString()].filter(Boolean).join(", ")
        )
      )
    );
    return h(
      "details",
      { className: "uvl-edits", "data-cy": "uvl-edits" },
      h("summary", null, counted(steps.length, "edits")),
      h("ol", { reversed: true }, rows.reverse())
    );
  }

  function Empty({ open }) {
    return h(
      "div",
      { className: "uvl-empty", "data-cy": "uvl-empty" },
      h("h2", null, "No clusters yet"),
      h(
        "p",
        null,
        "Explore the dataset in one go: embed, cluster and map it. Or cluster vectors that are there."
      ),
      h(
        "div",
        null,
        h(Button, {
          cy: "uvl-explore",
          label: "Explore dataset",
          strong: true,
          onClick: () => open("explore_dataset"),
        }),
        h(Button, {
          cy: "uvl-compute",
          label: "Compute clusters",
          onClick: () => open("compute_clusters"),
        })
      )
    );
  }

  function arranged(board, search, sort, reversed) {
    const wanted = search.trim().toLowerCase();
    const { of, down } = SORTS[sort];
    const sign = down === reversed ? 1 : -1;
    const compare = (one, other) => {
      if ((one.shown === 0) !== (other.shown === 0)) return one.shown === 0 ? 1 : -1;
      const first = of(one);
      const second = of(other);
      if (first === null || second === null) return (first === null) - (second === null);
      const order =
        sort === "name"
          ? first.localeCompare(second, undefined, { numeric: true })
          : first - second;
      return sign * order || one.number - other.number;
    };
    return board.all
      .filter((card) => `${card.title}\n${card.label || ""}`.toLowerCase().includes(wanted))
      .sort((one, other) => Boolean(one.noise) - Boolean(other.noise) || compare(one, other));
  }

  function withNoise(board) {
    const cards = board.cards.map((card) => ({ ...card, title: card.name }));
    if (board.n_noise) {
      const empty = {
        cohesion: null,
        novelty: null,
        disagreement: null,
        label: null,
        exemplars: [],
      };
      cards.push({
        ...empty,
        noise: true,
        number: -1,
        name: board.noise,
        title: "No cluster",
        size: board.n_noise,
        shown: board.noise_shown,
      });
    }
    return { ...board, all: cards };
  }

  function useMore(total, key) {
    const [shown, setShown] = useState(PAGE);
    const end = useRef(null);
    useEffect(() => setShown(PAGE), [key]);
    useEffect(() => {
      if (!end.current || shown >= total) return undefined;
      const observer = new IntersectionObserver(
        (entries) => entries.some((entry) => entry.isIntersecting) && setShown(shown + PAGE),
        { rootMargin: "600px" }
      );
      observer.observe(end.current);
      return () => observer.disconnect();
    }, [shown, total]);
    return [shown, end];
  }

  /** Sends events to Python; an error that it did not expect is shown here, not by the App. */
  function useEvents(events) {
    const trigger = window.__foo__.useTriggerPanelEvent();
    const latest = useRef(null);
    latest.current = { trigger: trigger, events: events };
    const [running, setRunning] = useState(0);
    const [failure, setFailure] = useState("");
    const send = useCallback((name, params, then) => {
      const quiet = Boolean(then);
      if (!quiet) setRunning((count) => count + 1);
      latest.current.trigger(latest.current.events[name], params || {}, false, (result) => {
        if (!quiet) setRunning((count) => count - 1);
        const error = result && (result.errorMessage || result.error);
        setFailure(error ? String(error.message || error) : "");
        if (then) then((!error && result && result.result) || {});
        return !error;
      });
    }, []);
    return { send: send, busy: running > 0, failure: failure };
  }

  /** What the view shows, as it was said last: by new cards, by the view, or by a click here. */
  function useSelection(board, seen, send) {
    const [selected, setSelected] = useState([]);
    const asked = useRef("");
    const clicked = useRef(null);
    const follow = (names) => {
      const late = clicked.current && Date.now() < clicked.current.until;
      if (late && clicked.current.names !== together(names)) return; // of before the click
      clicked.current = null;
      setSelected(names);
    };
    const click = (names) => {
      clicked.current = { names: together(names), until: Date.now() + PATIENCE };
    };
    useEffect(() => {
      follow(board.seen.selected);
      if (!board.edited) return;
      click(board.seen.selected);
      window.requestAnimationFrame(() =>
        window.setTimeout(() => send("follow", { clusters: board.seen.selected }, () => {}))
      );
    }, [board.stamp]);
    useEffect(() => {
      if (!seen) return undefined;
      follow(seen.selected);
      if (seen.besides === board.seen.besides || seen.besides === asked.current) return undefined;
      const timer = window.setTimeout(() => {
        asked.current = seen.besides;
        send("look", {}, () => (asked.current = ""));
      }, PAUSE);
      return () => window.clearTimeout(timer);
    }, [JSON.stringify(seen || null)]);
    const select = useCallback(
      (names) => {
        click(names);
        setSelected(names);
        send("select", { clusters: names });
      },
      [send]
    );
    return [selected, select];
  }

  const together = (names) => JSON.stringify([...names].sort());

  function Board({ board: sent, seen, picked, events }) {
    const { send, busy, failure } = events;
    const board = useMemo(() => withNoise(sent), [sent.stamp]);
    const [selected, select] = useSelection(board, seen, send);
    const [search, setSearch] = useState("");
    const [sort, setSort] = useState("size");
    const [reversed, reverse] = useState(false);
    const pictures = useMemo(
      () => new Pictures((ids, then) => send("thumbnails", { ids: ids }, then)),
      [board.run_key, send]
    );
    const cards = useMemo(
      () => arranged(board, search, sort, reversed),
      [board, search, sort, reversed]
    );
    const [shown, end] = useMore(
      cards.length,
      [board.run_key, board.level, search, sort, reversed].join("\n")
    );
    const chosen = useRef(selected);
    chosen.current = selected;
    const act = useMemo(
      () => ({
        only: (name) =>
          select(chosen.current.length === 1 && chosen.current[0] === name ? [] : [name]),
        toggle: (name) =>
          select(
            chosen.current.includes(name)
              ? chosen.current.filter((other) => other !== name)
              : [...chosen.current, name]
          ),
        move: (name) => send("move", { cluster: name }),
        accept: (cluster, name) => send("accept", { cluster: cluster, name: name }),
      }),
      [select, send]
    );
    const picks = new Set(selected);
    return h(
      React.Fragment,
      null,
      h(
        "header",
        { className: "uvl-top" },
        h(Choices, {
          board: board,
          send: send,
          sort: sort,
          setSort: setSort,
          reversed: reversed,
          reverse: reverse,
          busy: busy,
        }),
        h(
          "div",
          { className: "uvl-row" },
          h(
            "strong",
            { "data-cy": "uvl-count" },
            `${counted(board.cards.length, "clusters")}, ${counted(board.n_items, board.unit)}, ${number(board.n_noise)} in none`
          ),
          h("input", {
            className: "uvl-search",
            type: "search",
            "data-cy": "uvl-search",
            placeholder: "Search names and labels",
            "aria-label": "Search names and labels",
            value: search,
            onChange: (event) => setSearch(event.target.value),
          }),
          h(Steps, { board: board, send: send, busy: busy })
        ),
        h(Tools, { board: board, selected: selected, send: send }),
        h(
          "div",
          { className: "uvl-row uvl-actions", "data-cy": "uvl-actions" },
          h(Actions, {
            board: board,
            selected: selected,
            cards: board.all,
            busy: busy,
            send: send,
            select: select,
          })
        ),
        failure && h("div", { className: "uvl-failure", role: "alert" }, failure),
        h("div", {
          className: busy ? "uvl-work uvl-busy" : "uvl-work",
          "data-cy": busy ? "uvl-busy" : "uvl-idle",
        })
      ),
      h(Edits, { steps: board.steps }),
      h(
        "div",
        { className: "uvl-cards", "data-cy": "uvl-cards" },
        cards.slice(0, shown).map((card) =>
          h(Card, {
            key: `${card.number}/${card.name}`,
            card: card,
            chosen: picks.has(card.name),
            sort: sort,
            proposals: open(board, card) || EMPTY,
            picked: board.level ? 0 : picked,
            pictures: pictures,
            act: act,
            busy: busy,
          })
        )
      ),
      !cards.length && h("p", { className: "uvl-nothing" }, "No cluster has such a name or label."),
      h("div", { ref: end })
    );
  }

  const EMPTY = [];

  /** The proposals for a cluster that it is not called by yet. */
  function open(board, card) {
    const proposals = board.proposals[String(card.number)];
    if (!proposals || proposals.some((proposal) => proposal.name === card.name)) return null;
    return proposals;
  }

  function Choices({ board, send, sort, setSort, reversed, reverse, busy }) {
    const down = SORTS[sort].down !== reversed;
    return h(
      "div",
      { className: "uvl-row" },
      h(Choice, {
        cy: "uvl-run",
        label: "Run",
        value: board.run_key,
        disabled: busy,
        choices: board.runs.map((key) => [key, key]),
        onChange: (key) => send("choose", { run_key: key }),
      }),
      h(Choice, {
        cy: "uvl-level",
        label: "Level",
        value: board.level,
        disabled: busy,
        choices: board.levels.map((level) => [
          level,
          level ? `${level[0].toUpperCase()}${level.slice(1)} level` : "Clusters",
        ]),
        onChange: (level) => send("choose", { level: level }),
      }),
      h(Choice, {
        cy: "uvl-labels",
        label: "Labels to compare with",
        value: board.labels,
        disabled: busy,
        choices: [
          ["", "No labels"],
          ...board.label_fields.map((field) => [field, `Labels: ${field}`]),
        ],
        onChange: (field) => send("choose", { labels: field }),
      }),
      h(Choice, {
        cy: "uvl-sort",
        label: "Sort by",
        value: sort,
        choices: Object.entries(SORTS).map(([key, each]) => [
          key,
          `By ${each.label.toLowerCase()}`,
        ]),
        onChange: (key) => {
          setSort(key);
          reverse(false);
        },
      }),
      h(Button, {
        cy: "uvl-reverse",
        icon: down ? "down" : "up",
        title: down ? "Greatest first" : "Least first",
        onClick: () => reverse(!reversed),
      })
    );
  }

  function Clusters({ data, schema }) {
    const events = useEvents(schema.view);
    const { board: text, seen, picked } = data || {};
    const board = useMemo(() => text && JSON.parse(text), [text]);
    let inside = h("div", { className: "uvl-nothing" }, "Reading the clusters …");
    if (board && !board.runs.length) {
      inside = h(Empty, { open: (name) => events.send("open_form", { name: name }) });
    } else if (board) {
      inside = h(Board, { board: board, seen: seen, picked: picked || 0, events: events });
    }
    return h(
      "section",
      { className: "uvl", "data-cy": "uvl-clusters", "aria-label": "Clusters" },
      h("style", null, STYLE),
      inside
    );
  }

  const STYLE = `
.uvl { --line: var(--fo-palette-primary-plainBorder); --soft: var(--fo-palette-text-secondary);
  --strong: var(--fo-palette-text-primary); --raised: var(--fo-palette-background-level2);
  --accent: var(--fo-palette-primary-plainColor); --ground: var(--fo-palette-background-body);
  color: var(--strong); font-size: 13px; line-height: 1.35; min-height: 100%; width: 100%; }
.uvl *, .uvl *::before { box-sizing: border-box; }
.uvl button, .uvl input, .uvl select { font: inherit; color: inherit; }
.uvl :focus-visible { outline: 2px solid var(--accent); outline-offset: 1px; }
.uvl-top { position: sticky; top: 0; z-index: 3; padding: 12px 16px 0; background: var(--fo-palette-background-level1, var(--ground)); }
.uvl-row { display: flex; flex-wrap: wrap; align-items: center; gap: 6px 8px; margin-bottom: 10px; }
.uvl-gap { width: 1px; height: 18px; background: var(--line); }
.uvl-choice, .uvl-search, .uvl-entry input { height: 30px; padding: 0 8px; border: 1px solid var(--line);
  border-radius: 4px; background: var(--raised); color: var(--strong); max-width: 150px; cursor: pointer; }
.uvl-choice option { background: var(--raised); color: var(--strong); }
.uvl-search { flex: 1; min-width: 120px; max-width: 320px; margin-left: auto; cursor: text; }
.uvl-tools { gap: 4px 12px; }
.uvl-button { display: inline-flex; align-items: center; justify-content: center; gap: 4px; height: 30px;
  padding: 0 10px; border: 1px solid var(--line); border-radius: 4px; background: var(--raised); cursor: pointer; white-space: nowrap; }
.uvl-button:hover:not(:disabled) { border-color: var(--accent); }
.uvl button:disabled { opacity: .4; cursor: default; }
.uvl-round { width: 30px; padding: 0; }
.uvl-strong { background: var(--accent); border-color: var(--accent); color: #fff !important; }
.uvl-link { padding: 2px 0; border: 0; background: none; color: var(--soft) !important; cursor: pointer; white-space: nowrap; }
.uvl-link:hover { color: var(--accent) !important; text-decoration: underline; }
.uvl-icon { width: 16px; height: 16px; fill: currentColor; flex: none; }
.uvl-actions { min-height: 30px; }
.uvl-said { color: var(--soft); margin-right: 4px; }
.uvl-some { color: var(--accent); font-weight: 600; max-width: 260px; overflow: hidden; text-overflow: ellipsis; white-space: nowrap; }
.uvl-entry { display: flex; align-items: center; gap: 8px; flex: 1; }
.uvl-entry input { flex: 1; cursor: text; max-width: 320px; } .uvl-entry input[type=number] { max-width: 80px; }
.uvl-failure { margin-bottom: 8px; padding: 6px 10px; border-radius: 4px; border: 1px solid #d2453c; }
.uvl-work { height: 2px; background: var(--line); position: relative; overflow: hidden; margin: 0 -16px; }
.uvl-busy::before { content: ""; position: absolute; inset: 0; width: 30%; background: var(--accent); animation: uvl-run 1s linear infinite; }
@keyframes uvl-run { from { left: -30%; } to { left: 100%; } }
.uvl-edits { padding: 8px 16px 0; color: var(--soft); }
.uvl-edits summary { cursor: pointer; width: fit-content; }
.uvl-edits ol { margin: 6px 0 0; padding-left: 28px; max-height: 160px; overflow: auto; }
.uvl-edits li { color: var(--strong); padding: 1px 0; } .uvl-edits i { margin-left: 8px; font-style: normal; color: var(--soft); }
.uvl-cards { display: grid; grid-template-columns: repeat(auto-fill, minmax(186px, 1fr)); gap: 12px; padding: 12px 16px; align-items: start; }
.uvl-card { position: relative; border: 1px solid var(--line); border-radius: 6px; background: var(--raised); overflow: hidden; transition: border-color .12s, box-shadow .12s; }
.uvl-card:hover { border-color: var(--soft); }
.uvl-chosen, .uvl-chosen:hover { border-color: var(--accent); box-shadow: 0 0 0 1px var(--accent); }
.uvl-absent { opacity: .45; filter: grayscale(1); }
.uvl-card > input { position: absolute; top: 6px; left: 6px; z-index: 1; width: 16px; height: 16px; margin: 0; accent-color: var(--accent); cursor: pointer; opacity: 0; }
.uvl-card:hover > input, .uvl-card > input:focus-visible, .uvl-card > input:checked { opacity: 1; }
.uvl-open { display: block; width: 100%; padding: 0 0 8px; border: 0; background: none; text-align: left; cursor: pointer; }
.uvl-tiles { display: grid; grid-template-columns: repeat(3, 1fr); gap: 1px; aspect-ratio: 3 / 2; overflow: hidden; background: var(--fo-palette-background-mediaSpace, var(--ground)); }
.uvl-tile { display: block; width: 100%; height: 100%; min-height: 0; aspect-ratio: 1; object-fit: cover; }
.uvl-awaited { background: linear-gradient(100deg, transparent 30%, var(--line) 50%, transparent 70%) 0 0 / 300% 100%; animation: uvl-wait 1.4s linear infinite; }
@keyframes uvl-wait { from { background-position: 150% 0; } to { background-position: -50% 0; } }
@media (prefers-reduced-motion: reduce) { .uvl *, .uvl *::before { animation: none !important; transition: none !important; } }
.uvl-none { place-items: center; grid-template-columns: 1fr; color: var(--soft); }
.uvl-head { display: flex; align-items: baseline; gap: 8px; padding: 8px 10px 4px; }
.uvl-name { flex: 1; min-width: 0; font-weight: 600; overflow: hidden; text-overflow: ellipsis; white-space: nowrap; }
.uvl-size { color: var(--soft); font-variant-numeric: tabular-nums; white-space: nowrap; }
.uvl-figures { display: flex; justify-content: space-between; gap: 6px; padding: 0 10px; }
.uvl-figures > span { display: flex; flex-direction: column; } .uvl-figures b { font-weight: 500; font-variant-numeric: tabular-nums; }
.uvl-figures i { font-style: normal; font-size: 11px; color: var(--soft); } .uvl-figures .uvl-now b { color: var(--accent); }
.uvl-purity { display: flex; align-items: center; gap: 8px; padding: 6px 10px 0; font-size: 12px; white-space: nowrap; overflow: hidden; text-overflow: ellipsis; }
.uvl-bar { flex: none; width: 48px; height: 4px; border-radius: 2px; background: var(--line); overflow: hidden; }
.uvl-bar > span { display: block; height: 100%; background: var(--accent); }
.uvl-chips { display: flex; flex-wrap: wrap; gap: 4px; padding: 0 10px 10px; }
.uvl-chip { display: inline-flex; align-items: center; gap: 3px; height: 24px; padding: 0 8px 0 5px; max-width: 100%; border: 1px dashed var(--accent);
  border-radius: 12px; background: none; cursor: pointer; font-size: 12px !important; overflow: hidden; white-space: nowrap; }
.uvl-chip:hover:not(:disabled) { border-style: solid; } .uvl-chip i { font-style: normal; color: var(--soft); } .uvl-chip .uvl-icon { width: 13px; height: 13px; color: var(--accent); }
.uvl-here { display: block; width: calc(100% - 20px); margin: 0 10px 10px; height: 26px; border: 1px solid var(--accent); border-radius: 4px; background: none; cursor: pointer; }
.uvl-here:hover:not(:disabled) { background: var(--accent); color: #fff !important; }
.uvl-nothing { padding: 24px 16px; color: var(--soft); }
.uvl-empty { padding: 56px 24px; text-align: center; } .uvl-empty h2 { font-size: 18px; margin: 0 0 8px; } .uvl-empty p { color: var(--soft); margin: 0 auto 20px; max-width: 420px; }
.uvl-empty > div { display: flex; gap: 8px; justify-content: center; }
`;

  window.__fop__.registerComponent({
    name: "UVLClusters",
    label: "Clusters",
    component: Clusters,
    type: window.__fop__.PluginComponentType.Component,
    activator: () => true,
  });
})();
