#include <stdint.h>
typedef int8_t s8; typedef int16_t s16; typedef int32_t s32; typedef int64_t s64;
#define MAX(a,b) ((a)>(b)?(a):(b))
#define MIN(a,b) ((a)<(b)?(a):(b))
static inline s32 high_mult(s32 a, s32 m){ s64 t=(s64)a*m; t+=(s64)1<<30; return (s32)(t>>31);}
static inline s32 div_pow2(s32 d, s32 e){ s32 mask=(1<<e)-1; s32 r=d>>e; s32 th=(mask>>1)+(r<0); return r+((d&mask)>th);}
static inline s32 requant(s32 v,s32 m,s32 sh){ s32 l=sh>0?sh:0, r=sh>0?0:-sh; return div_pow2(high_mult(v*(1<<l),m),r);}
static inline s8 out8(s32 v,s32 m,s32 sh,s32 off){ v=requant(v,m,sh)+off; v=MAX(v,-128); v=MIN(v,127); return (s8)v;}
typedef struct {int ih,iw,ic,oh,ow,oc,k,st,pad,ioff,ooff; const s8*in;const s8*w;const s32*b;const s32*m;const s32*sh;s8*out;s16*buf;} P;
static void mm2(const s8*w,const s16*b0,int K,int oc,const P*p,s8*o){
  s8*o1=o+oc; const s16*c0=b0; const s32*m=p->m,*sh=p->sh,*bi=p->b;
  for(int r=oc>>1;r;r--){
    const s16*p0=c0,*p1=c0+K; const s8*w1=w+K; s32 a=*bi,c=*bi++; s32 d=*bi,e=*bi++;
    for(int n=K;n;n--){ s8 x=*w++,y=*w1++; s16 u=*p0++,v=*p1++; a+=x*u;c+=x*v;d+=y*u;e+=y*v; }
    *o++=out8(a,m[0],sh[0],p->ooff);*o1++=out8(c,m[0],sh[0],p->ooff);*o++=out8(d,m[1],sh[1],p->ooff);*o1++=out8(e,m[1],sh[1],p->ooff);
    m+=2;sh+=2; w+=K; }
}
void conv2d(const P*p){ int K=p->k*p->k*p->ic; s16*buf=p->buf; s8*out=p->out; int n=0;
 for(int y=0;y<p->oh;y++)for(int x=0;x<p->ow;x++){
  for(int ky=0;ky<p->k;ky++)for(int kx=0;kx<p->k;kx++){ int iy=y*p->st-p->pad+ky,ix=x*p->st-p->pad+kx;
   if(iy<0||iy>=p->ih||ix<0||ix>=p->iw){ for(int c=0;c<p->ic;c++)buf[c]=0;} else { const s8*s=p->in+(iy*p->iw+ix)*p->ic; for(int c=0;c<p->ic;c++)buf[c]=(s16)s[c]+p->ioff; }
   buf+=p->ic; }
  if(++n==2){ mm2(p->w,p->buf,K,p->oc,p,out); out+=2*p->oc; buf=p->buf;n=0; } } }
void pointwise(const P*p){ int K=p->ic, rows=p->oh*p->ow; const s8*w=p->w;
 for(int r=0;r+1<p->oc;r+=2,w+=2*K){ s32 s0=0,s1=0; for(int i=0;i<K;i++){s0+=w[i];s1+=w[i+K];} s0=s0*p->ioff+p->b[r];s1=s1*p->ioff+p->b[r+1];
  const s8*l=p->in; s8*o=p->out+r;
  for(int i=rows>>1;i;i--){ const s8*q=w; s32 a=s0,b=s1,c=s0,d=s1;
   for(int n=K;n;n--){ s8 x=q[0],y=q[K],u=l[0]; a+=u*x;b+=u*y; u=l[K]; c+=u*x; d+=u*y; q++; l++; }
   o[0]=out8(a,p->m[r],p->sh[r],p->ooff);o[1]=out8(b,p->m[r+1],p->sh[r+1],p->ooff);o+=p->oc;
   o[0]=out8(c,p->m[r],p->sh[r],p->ooff);o[1]=out8(d,p->m[r+1],p->sh[r+1],p->ooff);o+=p->oc; l+=K; } } }
void fully_connected(const P*p){ int K=p->ic; const s8*w=p->w; s8*o=p->out;
 for(int r=p->oc/3;r;r--){ const s8*l=p->in; s32 a=p->b[0],b=p->b[1],c=p->b[2]; const s8*w1=w+K,*w2=w+2*K;
  for(int n=K;n;n--){ s32 v=*l++ + p->ioff; a+=v**w++; b+=v**w1++; c+=v**w2++; }
  w+=2*K; *o++=out8(a,p->m[0],p->sh[0],p->ooff);*o++=out8(b,p->m[0],p->sh[0],p->ooff);*o++=out8(c,p->m[0],p->sh[0],p->ooff); } }
void depthwise(const P*p){ s8*o=p->out; int C=p->ic;
 for(int y=-p->pad;y<p->oh*p->st-p->pad;y+=p->st)for(int x=-p->pad;x<p->ow*p->st-p->pad;x+=p->st){
  int ys=MAX(0,-y),ye=MIN(3,p->ih-y);
  for(int c=0;c<C;c+=4){ s32 a=p->b[c],b=p->b[c+1],d=p->b[c+2],e=p->b[c+3];
   const s8*in=p->in+((y+ys)*p->iw+x)*C+c; const s8*w=p->w+ys*3*C+c;
   for(int k=ys;k<ye;k++){
    if(x>=0){ a+=(in[0]+p->ioff)*w[0]; b+=(in[1]+p->ioff)*w[1]; d+=(in[2]+p->ioff)*w[2]; e+=(in[3]+p->ioff)*w[3]; }
    { const s8*i2=in+C,*w2=w+C; a+=(i2[0]+p->ioff)*w2[0]; b+=(i2[1]+p->ioff)*w2[1]; d+=(i2[2]+p->ioff)*w2[2]; e+=(i2[3]+p->ioff)*w2[3]; }
    if(x+2<p->iw){ const s8*i2=in+2*C,*w2=w+2*C; a+=(i2[0]+p->ioff)*w2[0]; b+=(i2[1]+p->ioff)*w2[1]; d+=(i2[2]+p->ioff)*w2[2]; e+=(i2[3]+p->ioff)*w2[3]; }
    in+=p->iw*C; w+=3*C; }
   *o++=out8(a,p->m[c],p->sh[c],p->ooff);*o++=out8(b,p->m[c+1],p->sh[c+1],p->ooff);*o++=out8(d,p->m[c+2],p->sh[c+2],p->ooff);*o++=out8(e,p->m[c+3],p->sh[c+3],p->ooff); } } }
typedef struct {int n,o1,o2,m1,s1,m2,s2,mo,so,oo; const s8*a,*b; s8*out;} A;
void add(const A*p){ for(int i=0;i<p->n;i++){ s32 x=(p->a[i]+p->o1)<<20, y=(p->b[i]+p->o2)<<20; x=requant(x,p->m1,p->s1); y=requant(y,p->m2,p->s2); p->out[i]=out8(x+y,p->mo,p->so,p->oo);} }
void average_pool(const P*p){ for(int y=0;y<p->oh;y++)for(int x=0;x<p->ow;x++)for(int c=0;c<p->ic;c++){ s32 s=0,n=0; for(int ky=0;ky<p->k;ky++)for(int kx=0;kx<p->k;kx++){ s+=p->in[((y*p->st+ky)*p->iw+x*p->st+kx)*p->ic+c]; n++; } s=s>0?(s+n/2)/n:(s-n/2)/n; s=MAX(s,-128);s=MIN(s,127); p->out[(y*p->ow+x)*p->ic+c]=(s8)s; } }
void max_pool(const P*p){ for(int y=0;y<p->oh;y++)for(int x=0;x<p->ow;x++){ s8*o=p->out+(y*p->ow+x)*p->ic; for(int c=0;c<p->ic;c++)o[c]=-128; for(int ky=0;ky<p->k;ky++)for(int kx=0;kx<p->k;kx++){ const s8*s=p->in+((y*p->st+ky)*p->iw+x*p->st+kx)*p->ic; for(int c=0;c<p->ic;c++)if(s[c]>o[c])o[c]=s[c]; } } }
