// SPDX-License-Identifier: Apache-2.0
package cni.doctor.page;

import static java.nio.charset.StandardCharsets.UTF_8;

import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.Base64;

/**
 * The style sheet of the page. Every text has a contrast of at least 4.5 to 1 to its background
 * (WCAG 2.2, 1.4.3), in both colour schemes.
 */
final class PageStyle {
  static final String CSS =
      """
      :root { color-scheme: light dark;
        --page: #fdfdfc; --card: #ffffff; --ink: #1c2024; --soft: #5a6169; --line: #e1e3e6;
        --wire: #b9bfc7; --accent: #0b5cad; --wash: #eef4fa; --good: #19692f; --bad: #a5300f;
        --badwash: #fdf1ec; }
      @media (prefers-color-scheme: dark) { :root {
        --page: #14171a; --card: #1b1f23; --ink: #e4e7ea; --soft: #a3abb4; --line: #2f353b;
        --wire: #57606a; --accent: #7cb8f2; --wash: #1d2b39; --good: #7ccf8f; --bad: #ff9f80;
        --badwash: #33211b; } }
      * { box-sizing: border-box; }
      html { -webkit-text-size-adjust: 100%; }
      body { margin: 0; background: var(--page); color: var(--ink);
        font: 1rem/1.6 system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", sans-serif;
        overflow-wrap: anywhere; }
      header, main, footer { max-width: 76rem; margin: 0 auto; padding: 0 1.5rem; }
      header { padding-top: 3rem; }
      h1 { font-size: 2.1rem; line-height: 1.2; letter-spacing: -0.02em; margin: 0 0 .4rem; }
      h2 { font-size: 1.35rem; line-height: 1.3; letter-spacing: -0.01em; margin: 0 0 .3rem; }
      h3 { font-size: 1rem; margin: 2rem 0 .5rem; }
      p { margin: 0 0 .8rem; max-width: 44rem; }
      a { color: var(--accent); text-underline-offset: .2em; text-decoration-thickness: 1px; }
      a:focus-visible, [tabindex]:focus-visible { outline: 3px solid var(--accent);
        outline-offset: 3px; border-radius: 3px; }
      code, .id { font-family: ui-monospace, "SF Mono", Menlo, Consolas, "DejaVu Sans Mono",
        monospace; font-size: .875em; }
      .soft { color: var(--soft); }
      .skip { position: absolute; left: -100vw; background: var(--card); padding: .6rem 1rem; }
      .skip:focus { left: 1rem; top: 1rem; }
      .facts { display: flex; flex-wrap: wrap; gap: .5rem 2.5rem; margin: 1.8rem 0 0; padding: 0; }
      .facts div { display: flex; flex-direction: column-reverse; }
      .facts dt { color: var(--soft); font-size: .875rem; }
      .facts dd { margin: 0; font-size: 1.7rem; line-height: 1.2; font-weight: 600;
        font-variant-numeric: tabular-nums; letter-spacing: -0.01em; }
      nav ul { display: flex; flex-wrap: wrap; gap: .3rem 1.5rem; list-style: none; padding: 0;
        margin: 1.8rem 0 0; }
      section { border-top: 1px solid var(--line); margin-top: 2.5rem; padding-top: 2rem; }
      .host { border: 1.5px solid var(--wire); border-radius: 12px; padding: 1.2rem;
        margin: 1.2rem 0 0; background: var(--card); }
      .host > p { margin: 0 0 1rem; font-weight: 600; }
      .host ul { list-style: none; margin: 0; padding: 0; }
      .net + .net { margin-top: 1.6rem; }
      .bridge { background: var(--wash); border-radius: 7px; padding: .45rem .8rem; display: flex;
        flex-wrap: wrap; gap: 0 .8rem; align-items: baseline; }
      .bridge b { font-weight: 600; }
      .ports { display: grid; grid-template-columns: repeat(auto-fill, minmax(13.5rem, 1fr));
        gap: 0 1rem; }
      .ports > li { position: relative; padding-top: 1.4rem; display: flex; }
      .ports > li::before { content: ""; position: absolute; top: 0; left: 1.4rem; height: 1.4rem;
        border-left: 1.5px solid var(--wire); }
      .box { border: 1.5px solid var(--wire); border-radius: 7px; padding: .5rem .8rem; flex: 1;
        font-size: .875rem; line-height: 1.5; background: var(--page); }
      .gone .box { border-style: dashed; background: var(--badwash); border-color: var(--bad); }
      .ports > .gone::before { border-left-style: dashed; border-color: var(--bad); }
      .box span { display: block; }
      .box .id { font-weight: 600; font-size: .9375rem; color: var(--ink); }
      .ports > .more { align-items: center; color: var(--soft); font-size: .875rem; }
      .scroll { overflow-x: auto; margin: 1rem 0 0; }
      table { border-collapse: collapse; width: 100%; font-size: .9rem; line-height: 1.45;
        font-variant-numeric: tabular-nums; }
      caption { text-align: left; color: var(--soft); padding: 0 0 .6rem; font-size: .875rem; }
      th, td { text-align: left; vertical-align: top; padding: .55rem 1.2rem .55rem 0;
        border-top: 1px solid var(--line); white-space: nowrap; }
      thead th { border-top: 0; color: var(--soft); font-weight: 500; font-size: .8125rem; }
      tbody th { font-weight: 600; }
      th:last-child, td:last-child { padding-right: 0; }
      .number { text-align: right; }
      .wide { white-space: normal; min-width: 8.2rem; }
      .good { color: var(--good); }
      .bad { color: var(--bad); font-weight: 600; }
      .fill { display: inline-block; width: 6rem; height: .5rem; margin-right: .6rem; }
      .fill .all { fill: var(--line); }
      .fill .used { fill: var(--accent); }
      footer { margin-top: 3rem; padding-top: 1.2rem; padding-bottom: 3rem; color: var(--soft);
        font-size: .875rem; }
      @media (max-width: 40rem) {
        header, main, footer { padding-left: 1rem; padding-right: 1rem; }
        header { padding-top: 1.5rem; }
        h1 { font-size: 1.6rem; }
        .host { padding: .8rem; }
        .ports { grid-template-columns: 1fr; border-left: 1.5px solid var(--wire); }
        .host .ports { margin-left: 1rem; }
        .ports > li { padding: .7rem 0 0 1rem; }
        .ports > li::before { top: 2.2rem; left: 0; width: 1rem; height: 0; border-left: 0;
          border-top: 1.5px solid var(--wire); }
        .ports > .gone::before { border-top-style: dashed; }
        .facts { gap: .5rem 1.6rem; }
        .facts dd { font-size: 1.35rem; } }
      @media print { :root { --page: #ffffff; } .skip, nav { display: none; }
        section { break-inside: avoid; } .scroll { overflow: visible; } }
      """;

  private PageStyle() {}

  /** Returns the source of the style sheet for the page's content security policy. */
  static String policySource() {
    try {
      byte[] digest = MessageDigest.getInstance("SHA-256").digest(CSS.getBytes(UTF_8));
      return "'sha256-" + Base64.getEncoder().encodeToString(digest) + "'";
    } catch (NoSuchAlgorithmException e) {
      throw new IllegalStateException(e); // every Java platform has SHA-256
    }
  }
}
