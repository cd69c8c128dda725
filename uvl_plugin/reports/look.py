"""How a page looks, and the little that it does: both stand in the file itself."""

STYLE = """
:root{--ink:#1d2530;--soft:#5d6876;--line:#e3e7ec;--tint:#f5f7f9;--accent:#2f6db5}
*{box-sizing:border-box}
html{scroll-behavior:smooth}
body{margin:0;background:#fff;color:var(--ink);font:16px/1.55 system-ui,-apple-system,"Segoe UI",
Roboto,"Helvetica Neue",Arial,sans-serif;font-variant-numeric:tabular-nums}
main,header,footer,nav{max-width:1080px;margin:0 auto;padding:0 28px}
header{padding-top:52px}
.kicker{color:var(--accent);font-size:13px;font-weight:600;letter-spacing:.06em;margin:0 0 6px;
text-transform:uppercase}
h1{font-size:38px;line-height:1.15;letter-spacing:-.02em;margin:0 0 6px;overflow-wrap:anywhere}
h2{font-size:25px;letter-spacing:-.01em;margin:0 0 12px}
h3{font-size:15px;margin:22px 0 8px}
p{margin:0 0 12px;max-width:92ch;overflow-wrap:anywhere}
.quiet,.subtitle{color:var(--soft)}.quiet{font-size:13.5px}
section{padding:34px 0 22px;border-top:1px solid var(--line)}
nav{font-size:14px;padding-bottom:26px}nav a{margin-right:18px;white-space:nowrap}
a{color:var(--accent);text-decoration:none}a:hover{text-decoration:underline}
.facts{display:flex;flex-wrap:wrap;gap:12px;margin:22px 0 24px;padding:0}
.facts div{background:var(--tint);border-radius:10px;padding:12px 18px;min-width:128px}
.facts dd{margin:0;font-size:23px;font-weight:620;letter-spacing:-.01em}
.facts dt{color:var(--soft);font-size:13px}
.facts div{display:flex;flex-direction:column-reverse}
.summary{background:var(--tint);border-radius:12px;padding:18px 24px 14px;margin:0 0 22px}
.summary h2{font-size:17px;margin-bottom:8px}
ul.plain{margin:0 0 12px;padding-left:20px}ul.plain li{margin:3px 0;overflow-wrap:anywhere}
.wide{overflow-x:auto;margin-bottom:14px}
table{border-collapse:collapse;width:100%;font-size:14.5px}
th{color:var(--soft);font-size:12.5px;font-weight:600;text-align:left;white-space:nowrap}
th,td{padding:9px 14px 9px 0;border-bottom:1px solid var(--line);vertical-align:middle}
td.name{min-width:150px;max-width:240px;overflow-wrap:anywhere;font-weight:600}
td small{display:block;color:var(--soft);font-weight:400;font-size:12.5px}
i{display:inline-block;width:11px;height:11px;border-radius:50%;margin-right:8px;flex:none}
.bar{display:block;width:110px;height:7px;border-radius:4px;background:var(--line);margin-top:4px}
.bar b{display:block;height:7px;border-radius:4px;min-width:2px}
.strip{display:flex;gap:4px}
.strip img,.gallery img,.lost{width:64px;height:64px;object-fit:cover;border-radius:6px;
background:var(--tint);display:block}
.gallery{display:flex;flex-wrap:wrap;gap:10px;margin:0 0 6px}
.gallery figure{margin:0;width:104px}.gallery img,.gallery .lost{width:104px;height:104px}
.groups{display:flex;flex-wrap:wrap;gap:14px}.groups>div{background:var(--tint);
border-radius:12px;padding:12px 16px 8px}.groups h3{margin:0 0 8px}
.lost{color:var(--soft);font-size:11px;display:flex;align-items:center;justify-content:center}
figcaption{color:var(--soft);font-size:12px;line-height:1.35;margin-top:4px;overflow-wrap:anywhere}
svg.map{width:100%;height:auto;background:var(--tint);border-radius:12px;display:block}
svg.map path{fill:none;stroke-width:6;stroke-linecap:round;stroke-opacity:.78}
svg.map text{font-size:15px;font-weight:600;text-anchor:middle;fill:var(--ink);stroke:#fff;
stroke-width:4px;paint-order:stroke;stroke-linejoin:round;pointer-events:none}
svg.map path:hover{stroke-opacity:1}
svg.dim path{stroke-opacity:.1}svg.dim path.on{stroke-opacity:1}
.legend{list-style:none;display:flex;flex-wrap:wrap;gap:5px 18px;padding:0;margin:12px 0 14px;
font-size:13.5px}
.legend li{display:flex;align-items:center;max-width:260px;overflow-wrap:anywhere}
input[type=search]{font:inherit;font-size:14px;padding:7px 12px;border:1px solid var(--line);
border-radius:8px;width:260px;margin:0 0 10px}
input[hidden]{display:none}
footer{color:var(--soft);font-size:13px;padding-top:22px;padding-bottom:48px;
border-top:1px solid var(--line)}
@media(max-width:640px){main,header,footer,nav{padding-left:16px;padding-right:16px}
h1{font-size:29px}header{padding-top:28px}.facts div{flex:1 1 40%}}
@media print{body{font-size:12px}nav,input{display:none!important}section{break-inside:auto}
tr,figure,.facts,.summary,svg.map{break-inside:avoid}
*{-webkit-print-color-adjust:exact;print-color-adjust:exact}}
"""

SCRIPT = """
document.querySelectorAll("svg.map").forEach(function(map){
var legend=map.nextElementSibling;
function show(group){
map.classList.toggle("dim",group!==null);
map.querySelectorAll("path").forEach(function(path){
path.classList.toggle("on",path.dataset.group===group)})}
[map,legend].forEach(function(part){if(!part)return;
part.addEventListener("mouseover",function(event){
var over=event.target.closest("[data-group]");show(over?over.dataset.group:null)});
part.addEventListener("mouseleave",function(){show(null)})})});
document.querySelectorAll("input[data-search]").forEach(function(input){
input.hidden=false;
input.addEventListener("input",function(){
var wanted=input.value.toLowerCase();
input.parentElement.querySelectorAll("tbody tr").forEach(function(row){
row.hidden=row.textContent.toLowerCase().indexOf(wanted)<0})})});
"""
