// A form from a JSON Schema: the parts of it that settings of policies use. What it cannot draw is edited as JSON.
import { useState } from "preact/hooks";
import type { Fault } from "../types";
import { isPlain } from "../words";
import { Icon } from "./basics";
import { Check, Field, Text, faultsAt } from "./form";

interface Schema {
  type?: string; title?: string; description?: string; default?: unknown; enum?: unknown[]; properties?: Record<string, Schema>; required?: string[];
  additionalProperties?: boolean | Schema; items?: Schema; anyOf?: Schema[]; $ref?: string; minimum?: number; maximum?: number; minItems?: number; maxItems?: number;
  examples?: unknown[]; $defs?: Record<string, Schema>;
}

interface Props { schema: Schema; root: Schema; value: unknown; set: (value: unknown) => void; name: string; at: string; faults: Fault[] }

function resolved(schema: Schema, root: Schema): Schema {
  const name = schema.$ref?.match(/^#\/\$defs\/(.+)$/)?.[1];
  const found = name && root.$defs?.[name];
  return found ? { ...resolved(found, root), ...(schema.description ? { description: schema.description } : {}) } : schema;
}
const words = (key: string) => key.replaceAll("_", " ").replace(/^./, (c) => c.toUpperCase());
const scalar = (s: Schema): boolean => ["string", "integer", "number"].includes(s.type ?? "") || !!s.anyOf?.every((o) => ["string", "integer"].includes(o.type ?? ""));

/** The settings of a policy. */
export function SchemaForm({ schema, value, set, faults }: { schema: unknown; value: Record<string, unknown>; set: (value: Record<string, unknown>) => void; faults: Fault[] }) {
  const root = isPlain(schema) ? (schema as Schema) : {};
  const [raw, setRaw] = useState(!root.properties);
  return (
    <div class="schema">
      {root.properties && <div class="switch" role="group" aria-label="How to edit"><button type="button" aria-pressed={!raw} onClick={() => setRaw(false)}>Form</button><button type="button" aria-pressed={raw} onClick={() => setRaw(true)}>JSON</button></div>}
      {raw ? <Raw label="Settings" value={value} set={(v) => isPlain(v) && set(v)} hint={root.description} faults={faults} />
        : <Properties schema={root} root={root} value={value} set={(v) => set(v as Record<string, unknown>)} name="" at="settings" faults={faults} />}
    </div>
  );
}

function Raw({ label, value, set, hint, faults = [] }: { label: string; value: unknown; set: (value: unknown) => void; hint?: string | undefined; faults?: Fault[] }) {
  const [text, setText] = useState(() => JSON.stringify(value, null, 2));
  const [odd, setOdd] = useState("");
  const own = odd ? [{ field: "", wrong: `This is not JSON: ${odd}`, right: "" }] : faults;
  return (
    <Field label={label} hint={hint} faults={own}>{(ids) => (
      <textarea class="mono" rows={Math.min(20, text.split("\n").length + 1)} spellcheck={false} {...ids} value={text} onInput={(e) => {
        setText(e.currentTarget.value);
        try { set(JSON.parse(e.currentTarget.value)); setOdd("") } catch (error) { setOdd((error as Error).message) }
      }} />
    )}</Field>
  );
}

function Properties({ schema, root, value, set, at, faults }: Props) {
  const object = isPlain(value) ? value : {};
  const put = (key: string, v: unknown) => {
    const next = { ...object };
    if (v === undefined) delete next[key];
    else next[key] = v;
    set(next);
  };
  return <>{Object.entries(schema.properties ?? {}).map(([key, s]) => <Value key={key} schema={resolved(s, root)} root={root} value={object[key]} set={(v) => put(key, v)} name={words(key)} at={`${at}.${key}`} faults={faults} />)}</>;
}

function Value(props: Props) {
  const { schema, value, set, name, at, faults } = props;
  const mine = faultsAt(faults, at);
  if (schema.enum || schema.type === "boolean") {
    if (schema.type === "boolean") return <Check label={name} hint={schema.description} value={value === true} set={set} />;
    return <Field label={name} hint={schema.description} faults={mine}>{(ids) => <select {...ids} value={String(value ?? "")} onChange={(e) => set(e.currentTarget.value || undefined)}><option value="">(not set)</option>{schema.enum!.map((o) => <option key={String(o)}>{String(o)}</option>)}</select>}</Field>;
  }
  if (schema.type === "string") return <Text label={name} hint={schema.description} faults={mine} value={typeof value === "string" ? value : ""} placeholder={schema.default === undefined ? "" : String(schema.default)} set={(t) => set(t === "" ? undefined : t)} />;
  if (schema.type === "integer" || schema.type === "number") {
    return <Text label={name} hint={schema.description} faults={mine} type="number" inputMode="numeric" min={schema.minimum} max={schema.maximum} step={schema.type === "integer" ? 1 : "any"} value={value === undefined ? "" : String(value)} set={(t) => set(t === "" ? undefined : Number(t))} />;
  }
  if (schema.type === "array" && schema.items) return <List {...props} />;
  if (schema.type === "object" && isPlain(schema.additionalProperties)) return <Entries {...props} />;
  if (schema.type === "object" && schema.properties) {
    return <fieldset><legend>{name}</legend>{schema.description && <p class="hint">{schema.description}</p>}<Properties {...props} /></fieldset>;
  }
  return <Raw label={name} hint={schema.description} value={value ?? {}} set={set} faults={faults.filter((f) => f.field.startsWith(at))} />;
}

/** One word for each item, where items are words or numbers; pairs of words, one pair a line; else JSON. */
function List({ schema, root, value, set, name, at, faults }: Props) {
  const items = resolved(schema.items!, root);
  const list = Array.isArray(value) ? value : [];
  const mine = faults.filter((f) => f.field.startsWith(at));
  const isPair = items.type === "array" && !!items.items && scalar(resolved(items.items, root)) && items.maxItems === 2;
  const [text, setText] = useState(isPair ? list.map((p) => (p as unknown[]).join(" ")).join("\n") : list.join(" "));
  if (items.enum) {
    return <fieldset><legend>{name}</legend>{items.enum.map((o) => <Check key={String(o)} label={String(o)} value={list.includes(o)} set={(on) => { const next = on ? [...list, o] : list.filter((x) => x !== o); set(next.length ? next : undefined) }} />)}</fieldset>;
  }
  const read = (word: string): unknown => {
    const kinds = items.anyOf ?? [items];
    return kinds.some((k) => k.type === "integer" || k.type === "number") && /^-?\d+(\.\d+)?$/.test(word) ? Number(word) : word;
  };
  if (isPair) {
    return <Field label={name} hint={schema.description ?? "one pair a line"} faults={mine}>{(ids) => <textarea {...ids} rows={3} placeholder="web app" spellcheck={false} value={text} onInput={(e) => {
      setText(e.currentTarget.value);
      set(e.currentTarget.value.split("\n").map((l) => l.trim().split(/[\s,]+/).filter(Boolean)).filter((l) => l.length > 0));
    }} />}</Field>;
  }
  if (!scalar(items)) return <Raw label={name} hint={schema.description} value={list} set={set} faults={mine} />;
  const example = schema.examples?.[0];
  return <Text label={name} hint={<>{schema.description} {!schema.description && "Several with spaces between."}</>} faults={mine} value={text} placeholder={Array.isArray(example) ? example.join(" ") : ""}
    set={(t) => { setText(t); const words = t.split(/[\s,]+/).filter(Boolean).map(read); set(words.length || schema.default !== undefined ? words : undefined) }} />;
}

/** An object whose keys are free: an entry for each. */
function Entries({ schema, root, value, set, name, at, faults }: Props) {
  const object = isPlain(value) ? value : {};
  const [adding, setAdding] = useState("");
  const of = resolved(schema.additionalProperties as Schema, root);
  const start = () => of.type === "object" ? Object.fromEntries((of.required ?? []).map((k) => [k, []])) : of.type === "array" || of.anyOf ? [] : "";
  const add = () => { if (adding && !(adding in object)) set({ ...object, [adding]: start() }); setAdding("") };
  return (
    <fieldset>
      <legend>{name}</legend>
      {schema.description && <p class="hint">{schema.description}</p>}
      {Object.entries(object).map(([key, v]) => (
        <div class="entry" key={key}>
          <div class="entry-head"><b class="mono">{key}</b><button type="button" class="quiet" onClick={() => { const { [key]: _, ...rest } = object; set(rest) }}><Icon name="no" />Remove<span class="sr"> {key}</span></button></div>
          {of.properties ? <Properties schema={of} root={root} value={v} set={(n) => set({ ...object, [key]: n })} name={key} at={`${at}.${key}`} faults={faults} />
            : <Value schema={of.anyOf ? resolved(of.anyOf.find((o) => resolved(o, root).type === "array") ?? of, root) : of} root={root} value={v} set={(n) => set({ ...object, [key]: n ?? [] })} name="Values" at={`${at}.${key}`} faults={faults} />}
        </div>
      ))}
      <div class="add"><Text label={`Add to ${name.toLowerCase()}`} value={adding} set={setAdding} placeholder="name" onKeyDown={(e) => { if (e.key === "Enter") { e.preventDefault(); add() } }} /><button type="button" onClick={add} disabled={!adding}><Icon name="plus" />Add</button></div>
    </fieldset>
  );
}
